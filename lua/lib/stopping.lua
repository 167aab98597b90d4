-- Whether this request still has to force it to its end: the reply where it has not, or nil, then
-- the reason that stop is to store.
local function judge_stop(hash, request, reason)
  local stored = call('HMGET', hash, 's', 'r')
  if not stored[1] then
    return 'missing'
  end
  local status, _, _, _, last_request = unpack_state(stored[1])
  if last_request == request then
    return 'done'
  end
  if is_final(status) then
    return { 'ended', status }
  end
  return nil, stored[2] and '' or reason
end

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
