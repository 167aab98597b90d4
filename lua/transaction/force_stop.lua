#!lua flags=allow-oom
-- force_stop: ends whatever has not ended as failed, over whoever holds it.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>      the transaction, hash
--   [2] tandem:{TAG}:b:<gid>      its body, string, if that is large
--   [3] tandem:{TAG}:due          due times of its shard, sorted set
--   [4] tandem:{TAG}:fin:<minute> gids that ended in that minute, list
-- ARGV:
--   [1] retention of ended ones, in ms
-- and for each item:
--   [1] gid
--   [2] id of this request
--   [3] reason of those that have none
--
-- Returns now in µs, then for each item one of
--   done                it has ended as failed, by this request
--   { ended, status }   it had ended before
--   missing             no such gid
--   { error, text }     nothing was written
--
-- One script: it takes the hold away in the same change, so its holder's next write is refused.

local function force_stop(k, a)
  local hash, body, due, ended = KEYS[k], KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
  local gid, request, reason = ARGV[a], ARGV[a + 1], ARGV[a + 2]

  local answer, why = judge_stop(hash, request, reason)
  return answer or stop(hash, body, due, ended, gid, request, 'F', why)
end

return each_item(4, 1, 3, force_stop)
