-- What a holder's three writes do alike. Their items begin with the same arguments, from ARGV[a]
-- on: token, number, status letter, rest of the packed state, reason ('' for none), and '1' if it
-- leaves prepared by a back-check.

-- Whether the record may be written, by what is stored in t and s: the reply where it may not, or
-- nil, then what is kept of the stored state.
local function judge_record(hash, stored, a)
  local token, m = ARGV[a], ARGV[a + 1]
  if not stored[2] or stored[1] ~= token then
    return 'refused'
  end
  local status, mode, n, request, not_before = unpack_state(stored[2])
  if m == n then
    return 'written'
  end
  if is_final(status) or tonumber(m) ~= n + 1 then
    return 'refused'
  end
  if status == 'P' and ARGV[a + 5] == '1' then
    -- The client's own submit is still to come; a delay that was prepared counts from here.
    request = ''
    local delay_us = call('HGET', hash, 'd')
    if delay_us then
      not_before = integer(now + delay_us)
    end
  end
  return nil, mode, request, not_before
end

-- Writes the record. lets_go: the hold ends with it. stored: in r.
local function write_record(hash, stored, a, mode, request, not_before, lets_go)
  local m, status, rest, reason = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local packed = pack_state(status, mode, m, request, not_before, rest)
  if lets_go then
    call('HSET', hash, 't', '', 's', packed)
  else
    call('HSET', hash, 's', packed)
  end
  if reason ~= (stored[3] or '') then
    if reason == '' then
      call('HDEL', hash, 'r')
    else
      call('HSET', hash, 'r', reason)
    end
  end
end
