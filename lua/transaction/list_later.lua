#!lua flags=no-writes
-- list_later: which transactions of a shard are due later than a span from now; reset_later, the
-- second step, then makes those of them due that nobody holds.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:due  due times of the shard, sorted set
-- ARGV, for each item:
--   [1] span from now, in µs
--   [2] how many of them to pass over
--   [3] how many to answer at most
--
-- Returns now in µs, then for each item one of
--   { later, gid, … }   the earliest first
--   { error, text }
--
-- One script, and not one with the second step, which must declare the keys of what this one finds.

local function list_later(k, a)
  local due = KEYS[k]
  local after_us, offset, limit = ARGV[a], ARGV[a + 1], ARGV[a + 2]

  local bound = '(' .. integer(now + after_us)
  local gids = call('ZRANGE', due, bound, '+inf', 'BYSCORE', 'LIMIT', offset, limit)
  table.insert(gids, 1, 'later')
  return gids
end

return each_item(1, 0, 3, list_later)
