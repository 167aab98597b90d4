-- What a holder's three writes do alike. Their items begin with the same arguments, from ARGV[a]
-- on: token, number, status letter, rest of the packed state, reason ('' for none), '1' if it
-- leaves prepared by a back-check, and the number of registered branches that the holder knows of
-- ('' where it need not know them).

-- Whether the record may be written over the packed state: the reply where it may not, or nil, then
-- what is kept of the stored state, and its status.
local function judge_record(hash, packed, a)
  if not packed then
    return 'refused'
  end
  local status, mode, n, token, request, not_before = unpack_state(packed)
  local m = ARGV[a + 1]
  if token ~= ARGV[a] then
    return 'refused'
  end
  if m == n then
    return 'written'
  end
  if is_final(status) or m - n ~= 1 then
    return 'refused'
  end
  if ARGV[a + 4] ~= '' and (ARGV[a + 2] == 'P' or ARGV[a + 2] == 'S') then
    error('a reason, and it neither aborts nor has ended', 0)
  end
  if ARGV[a + 6] ~= '' and status == 'P' and ARGV[a + 2] ~= 'P'
    and ARGV[a + 6] ~= (call('HGET', hash, 'k') or '0') then
    -- One that was registered meanwhile would be left out of what follows.
    return whole('reread', hash)
  end
  if status == 'P' and ARGV[a + 5] == '1' then
    -- The client's own submit is still to come; a delay that was prepared counts from here.
    request = ''
    local delay_us = call('HGET', hash, 'd')
    if delay_us then
      not_before = integer(now + delay_us)
    end
  end
  return nil, mode, request, not_before, status
end

-- Writes the record over what judge_record answered. token '' ends the hold.
local function write_record(hash, a, token, mode, request, not_before, old_status)
  local m, status, rest, reason = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local packed = pack_state(status, mode, m, token, request, not_before, rest)
  if reason ~= '' then
    call('HSET', hash, 's', packed, 'r', reason)
  else
    call('HSET', hash, 's', packed)
    if old_status == 'A' then
      -- What has not come to aborting has none.
      call('HDEL', hash, 'r')
    end
  end
end
