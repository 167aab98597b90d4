#!lua flags=allow-oom
-- claim_due: the first step of a claim: puts a shard's due ones off to the end of a lease.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:due  due times of the shard, sorted set
-- ARGV, for each item:
--   [1] lease in µs
--   [2] how many to claim at most
--
-- Returns now in µs, then for each item one of
--   { due, score in µs, next due time in µs ('' if none), how many due ones were left,
--     gid, since when it was due in µs, … }
--   { error, text }   nothing was written
--
-- One script, so that two nodes never claim the same gid. The second step (take) is another, since
-- its keys are not known before this one's answer.

local function claim_due(k, a)
  local due = KEYS[k]
  local lease_us, limit = ARGV[a], ARGV[a + 1]

  local claimed =
    call('ZRANGE', due, '-inf', now_text, 'BYSCORE', 'LIMIT', '0', limit, 'WITHSCORES')
  local score = integer(now + lease_us)
  local reply = { 'due', score, '', 0 }
  if #claimed > 0 then
    local scores = {}
    for i = 1, #claimed, 2 do
      local gid, due_at = claimed[i], claimed[i + 1]
      scores[i], scores[i + 1] = score, gid
      reply[4 + i], reply[5 + i] = gid, integer(tonumber(due_at))
    end
    call('ZADD', due, 'XX', unpack(scores))
  end
  if #claimed == 2 * limit then
    reply[4] = call('ZCOUNT', due, '-inf', now_text)
  end
  local first = call('ZRANGE', due, '0', '0', 'WITHSCORES')
  if first[2] then
    reply[3] = integer(tonumber(first[2]))
  end
  return reply
end

return each_item(1, 0, 2, claim_due)
