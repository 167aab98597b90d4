-- What a holder's three writes do alike. Their items begin with the same arguments, from ARGV[a]
-- on: token, number, status letter, rest of the packed state, reason ('' for none), and '1' if it
-- leaves prepared by a back-check.

-- Whether the record may be written: the reply where it may not, or nil, then what is kept of the
-- stored state.
local function judge_record(stored, a)
  local token, m = ARGV[a], ARGV[a + 1]
  if not stored[2] or stored[1] ~= token then
    return 'refused'
  end
  local status, mode, n, request, _, not_before = unpack_state(stored[2])
  if m == n then
    return 'written'
  end
  if is_final(status) or tonumber(m) ~= n + 1 then
    return 'refused'
  end
  if status == 'P' and ARGV[a + 5] == '1' then
    -- The client's own submit is still to come; a delay that was prepared counts from here.
    request = ''
    if stored[5] then
      not_before = integer(now + stored[5])
    end
  end
  return nil, mode, request, not_before
end

local function read_for_record(hash)
  return call('HMGET', hash, 't', 's', 'r', 'w', 'd')
end

local function write_record(hash, stored, a, mode, request, not_before, token)
  local m, status, rest, reason = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  call('HSET', hash, 't', token, 's', pack_state(status, mode, m, request, not_before, rest))
  if reason ~= (stored[3] or '') then
    if reason == '' then
      call('HDEL', hash, 'r')
    else
      call('HSET', hash, 'r', reason)
    end
  end
end
