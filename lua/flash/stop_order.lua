#!lua flags=allow-oom
-- stop_order: ends an order that has not ended as failed, over whoever holds it, and gives its
-- units back. Otherwise as force_stop.
--
-- KEYS, for each bucket, and again where [5] is another one:
--   [1] tandem:{TAG}:f:<sale>     its books, hash
--   [2] tandem:{TAG}:fb:<sale>    its buyers, hash
--   [3] tandem:{TAG}:fr:<sale>    its reservations, hash
--   [4] tandem:{TAG}:due          due times of its shard, sorted set
--   [5] tandem:{TAG}:fin:<minute> gids that ended in that minute, list
-- then, for each item:
--   [1] tandem:{TAG}:g:<gid>      the transaction, hash
--   [2] tandem:{TAG}:b:<gid>      its body, string, if that is large
-- ARGV:
--   [1] retention of ended ones, in ms
--   [2] how many items each of these has: `<items>,…`
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

local function ask(s, a, n)
  local books = KEYS[s]
  ask_to_settle(books, a + 3, a + 3, nil, n, 4)
end

local function open(s)
  local books, buyers, rows = KEYS[s], KEYS[s + 1], KEYS[s + 2]
  return open_bucket(s, books, buyers, rows)
end

local function stop_order(k, a, s)
  local hash, body, due, ended = KEYS[k], KEYS[k + 1], KEYS[s + 3], KEYS[s + 4]
  local gid, request, reason, field = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]

  local answer, why = judge_stop(hash, request, reason)
  if answer then
    return answer
  end
  -- Not before: what has ended is told so, whatever state the bucket is in.
  local bucket = opened[s] or open(s)
  local units = held_units(bucket, field, true)
  stop(hash, body, due, ended, gid, request, 'F', why)
  if units then
    settle_row(bucket, field, units, 'R')
  end
  return 'done'
end

local function write(s)
  local books, buyers, rows = KEYS[s], KEYS[s + 1], KEYS[s + 2]
  write_bucket(books, buyers, rows)
end

return each_of_buckets(5, 2, 2, 4, ask, stop_order, write)
