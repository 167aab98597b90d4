-- Ends what has not ended, over whoever held it. reason '' leaves the stored one.
local function stop(hash, body, due, ended, gid, request, status, reason)
  local stored = call('HMGET', hash, 's', 'w')
  local _, mode, n, _, _, not_before, rest_at = unpack_state(stored[1])
  local rest = string.sub(stored[1], rest_at)
  leave_due(due, ended, gid)
  call('HSET', hash, 's', pack_state(status, mode, n + 1, request, request, not_before, rest))
  if reason ~= '' then
    call('HSET', hash, 'r', reason)
  end
  if stored[2] then
    call('HDEL', hash, 'w')
  end
  call('PEXPIREAT', hash, expires_at)
  call('PEXPIREAT', body, expires_at)
  return 'done'
end
