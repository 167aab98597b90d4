-- Ends what has not ended as failed, over whoever held it. reason '' leaves the stored one.
local function stop(hash, body, due, ended, gid, request, reason, retention_ms)
  local stored = call('HMGET', hash, 's', 'w')
  local _, mode, n, _, not_before, rest_at = unpack_state(stored[1])
  leave_due(due, ended, gid, retention_ms)
  call('HSET', hash, 't', request,
    's', pack_state('F', mode, n + 1, request, not_before, string.sub(stored[1], rest_at)))
  if reason ~= '' then
    call('HSET', hash, 'r', reason)
  end
  if stored[2] then
    call('HDEL', hash, 'w')
  end
  call('PEXPIRE', hash, retention_ms)
  call('PEXPIRE', body, retention_ms)
  return 'done'
end
