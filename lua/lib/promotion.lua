-- The packed state of one that named no request before, and is as it was but for that.
local function with_request(packed, request)
  local head, tail = string.match(packed, '^([^;]*;[^;]*;)(.*)$')
  return head .. request .. tail
end

-- What submit and promote do alike.

-- The answer to a request that changed the status before, and whose reply was lost.
local function own_repeat(hash, n, token, request)
  local is_held = token == request
  if n == '1' then
    return { is_held and 'created_held' or 'created', call('HGET', hash, 'c') }
  end
  return is_held and whole('held', hash) or 'not_held'
end

-- Submits what is prepared, over whoever held it. lease_us: '' if request is not to hold it. delay:
-- in µs, or '' for the one that was prepared.
local function promote_prepared(hash, due, gid, request, lease_us, delay, override)
  local stored = call('HMGET', hash, 's', 'd', 'w')
  local _, mode, n, _, _, _, rest_at = unpack_state(stored[1])
  local delay_us = tonumber(delay ~= '' and delay or stored[2] or 0)
  -- A delay wins over a hold: nothing may be called before it is over.
  local is_held = lease_us ~= '' and delay_us == 0
  local not_before, at = '', now
  if is_held then
    at = now + lease_us
  elseif delay_us > 0 then
    at = now + delay_us
    not_before = integer(at)
  end
  put_due_anew(due, gid, at)
  local token, rest = is_held and request or '', string.sub(stored[1], rest_at)
  call('HSET', hash, 's', pack_state('S', mode, n + 1, token, request, not_before, rest))
  if override ~= '' then
    call('HSET', hash, 'o', override)
  end
  if stored[3] then
    call('HDEL', hash, 'w')
  end
  return is_held and whole('held', hash) or 'not_held'
end
