#!lua flags=allow-oom
-- stop_order: ends an order that has not ended as failed, over whoever holds it, and gives its
-- units back. Otherwise as force_stop.
--
-- KEYS, for each item, all of one shard:
--   [1] tandem:{TAG}:g:<gid>      the transaction, hash
--   [2] tandem:{TAG}:b:<gid>      its body, string, if that is large
--   [3] tandem:{TAG}:due          due times of the shard, sorted set
--   [4] tandem:{TAG}:fin:<minute> gids that ended in that minute, list
--   [5] tandem:{TAG}:f:<sale>     the bucket's books, hash
--   [6] tandem:{TAG}:fb:<sale>    its buyers, hash
--   [7] tandem:{TAG}:fr:<sale>    its reservations, hash
-- ARGV:
--   [1] retention of ended ones, in ms
-- and for each item:
--   [1] gid
--   [2] id of this request
--   [3] reason of those that have none
--   [4] `o<order>`, the row's field
--
-- Returns now in µs, then for each item one of
--   done                it has ended as failed, by this request
--   { ended, status }   it had ended before
--   missing             no such gid
--   { error, text }     nothing was written
--
-- One script: whoever stops an order finds its units for sale, and its holder's next write is
-- refused.

local function ask(k, a)
  local books = KEYS[k + 4]
  ask_bucket(books, ARGV[a + 3])
end

local function stop_order(k, a)
  local hash, body, due, ended = KEYS[k], KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
  local books, buyers, rows = KEYS[k + 4], KEYS[k + 5], KEYS[k + 6]
  local gid, request, reason, field = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]

  local answer, why = judge_stop(hash, request, reason)
  if answer then
    return answer
  end
  local bucket = bucket_of(books, buyers, rows)
  local taken, buyer = held_row(bucket, field)
  stop(hash, body, due, ended, gid, request, 'F', why)
  if taken then
    settle_row(bucket, field, taken, buyer, 'R')
  end
  return 'done'
end

local function write(k)
  local books, buyers, rows = KEYS[k + 4], KEYS[k + 5], KEYS[k + 6]
  write_bucket(books, buyers, rows)
end

return each_of_buckets(7, 1, 4, ask, stop_order, write)
