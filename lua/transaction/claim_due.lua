#!lua flags=allow-oom
-- claim_due: the first step of a claim: puts the scores of a shard's due ones to the end of a lease.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:due  due times of the shard, sorted set
-- ARGV, for each item:
--   [1] lease in µs
--   [2] how many to claim at most
--
-- Returns now in µs, then for each item one of
--   { due, score in µs, next due time in µs ('' if none), how many due ones were left, gid, … }
--   { error, text }   nothing was written
--
-- One script, so that two nodes never claim the same gid. The second step (take) is another, since
-- its keys are not known before this one's answer.

local function claim_due(k, a)
  local due = KEYS[k]
  local lease_us, limit = ARGV[a], ARGV[a + 1]

  local gids = call('ZRANGE', due, '-inf', now_text, 'BYSCORE', 'LIMIT', '0', limit)
  local score = integer(now + lease_us)
  local reply = { 'due', score, '', 0 }
  if #gids > 0 then
    local scores = {}
    for i, gid in ipairs(gids) do
      scores[2 * i - 1] = score
      scores[2 * i] = gid
      reply[4 + i] = gid
    end
    call('ZADD', due, 'XX', unpack(scores))
    reply[4] = call('ZCOUNT', due, '-inf', now_text)
  end
  local first = call('ZRANGE', due, '0', '0', 'WITHSCORES')
  if first[2] then
    reply[3] = integer(first[2])
  end
  return reply
end

return each_item(1, 0, 2, claim_due)
