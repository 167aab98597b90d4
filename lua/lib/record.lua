-- What a holder's three writes do alike. Their items begin with the same arguments, from ARGV[a]
-- on: the hold `<token>;<n>;` as the state before has it, the same as this one has it, status
-- letter, rest of the packed state, reason ('' for none), '1' if it leaves prepared by a
-- back-check, and the number of registered branches that the holder knows of ('' where it need not
-- know them).
--
-- A record is one of three calls of most transactions, and to take a packed state apart costs more
-- than to read it. So these compare and cut it where the hold ends.

-- Looked up once a call, not four times an item.
local find, match, sub = string.find, string.match, string.sub

-- Whether the record may be written over the packed state: the reply where it may not, or nil, then
-- what is kept of the stored state: mode, `<request>;<not before>;`, and its status.
local function judge_record(hash, packed, a)
  if not packed then
    return 'refused'
  end
  local hold_before, hold = ARGV[a], ARGV[a + 1]
  if find(packed, hold_before, 3, true) ~= 3 then
    -- Fails if it cannot be read.
    unpack_state(packed)
    return find(packed, hold, 3, true) == 3 and 'written' or 'refused'
  end
  local status, mode = sub(packed, 1, 1), sub(packed, 2, 2)
  local kept = match(packed, '^[^;]*;%d*;', 3 + #hold_before)
  if not kept then
    error('the packed state cannot be read', 0)
  end
  if is_final(status) then
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
    local delay_us = call('HGET', hash, 'd')
    local not_before = delay_us and integer(now + delay_us) or match(kept, ';(.*);')
    kept = ';' .. not_before .. ';'
  end
  return nil, mode, kept, status
end

-- Writes the record over what judge_record answered, with this hold.
local function write_record(hash, a, hold, mode, kept, old_status)
  local status, rest, reason = ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local packed = status .. mode .. hold .. kept .. now_text .. ';' .. rest
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
