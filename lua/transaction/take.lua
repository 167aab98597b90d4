#!lua flags=allow-oom
-- take: the second step of a claim: takes what the first step (claim_due) put off.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>  the transaction, hash
--   [2] tandem:{TAG}:due      due times of its shard, sorted set
-- ARGV, for each item:
--   [1] gid
--   [2] score that the first step set, in µs
--   [3] token of the hold
--
-- Returns now in µs, then for each item one of
--   { taken, created at, state, body, override, reason, branches }
--                     body is absent when it is in a key of its own, branches (each a field's name
--                     and what it holds) but for tcc, xa and workflow
--   refused           somebody else was faster, or it has ended
--   missing           there is no such transaction; its due entry stays
--   { error, text }   nothing was written
--
-- One script: the score still being the first step's shows that nobody got the hold in between.

local function take(k, a)
  local hash, due = KEYS[k], KEYS[k + 1]
  local gid, score, token = ARGV[a], ARGV[a + 1], ARGV[a + 2]

  local stored = call('HMGET', hash, 's', 'w')
  if not stored[1] then
    return 'missing'
  end
  local status, mode, n, old_token, request, not_before, rest_at = unpack_state(stored[1])
  if is_final(status) then
    return 'refused'
  end
  if old_token ~= token then
    local present = call('ZSCORE', due, gid)
    if not present or tonumber(present) ~= tonumber(score) then
      return 'refused'
    end
    local rest = string.sub(stored[1], rest_at)
    call('HSET', hash, 's', pack_state(status, mode, n + 1, token, request, not_before, rest))
    if stored[2] then
      call('HDEL', hash, 'w')
    end
  end
  return whole('taken', hash)
end

return each_item(2, 0, 3, take)
