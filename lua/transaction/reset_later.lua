#!lua flags=allow-oom
-- reset_later: makes transactions due now that nobody holds and that are due later than a span
-- from now; the second step of list_later.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>  the transaction, hash
--   [2] tandem:{TAG}:due      due times of its shard, sorted set
-- ARGV, for each item:
--   [1] gid
--   [2] span from now, in µs
--
-- Returns now in µs, then for each item one of
--   done              it is due
--   passed            it is held, or due earlier, or has ended
--   { error, text }   nothing was written
--
-- One script: a hold that begins between the test and the write would have its lease cut short.

local function reset_later(k, a)
  local hash, due = KEYS[k], KEYS[k + 1]
  local gid, after_us = ARGV[a], ARGV[a + 1]

  local score = call('ZSCORE', due, gid)
  if not score or tonumber(score) <= now + after_us then
    return 'passed'
  end
  local packed = call('HGET', hash, 's')
  if not packed then
    return 'passed'
  end
  local status, _, _, token = unpack_state(packed)
  if token ~= '' or is_final(status) then
    return 'passed'
  end
  call('ZADD', due, now_text, gid)
  return 'done'
end

return each_item(2, 0, 2, reset_later)
