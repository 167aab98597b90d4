#!lua flags=allow-oom
-- acknowledge: notes at the bucket that gave units that they arrived.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:f:<sale>       the bucket's books, hash
--   [2] tandem:{TAG}:ft:<sale>      its transfers that are not acknowledged, hash
--   [3] tandem:{TAG}:fd:<transfer>  says that the transfer was acknowledged, string
-- ARGV, for each item:
--   [1] the transfer's id
--
-- Returns now in µs, then for each item one of
--   done              by this call or an earlier one
--   { error, text }   nothing was written
--
-- One script: the count of transfers under way is that of their entries at every instant.

-- How long a copy of the give may be late, in ms.
local DONE_FOR_MS = '600000'

local function acknowledge(k, a)
  local books, transfers, done = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local transfer = ARGV[a]

  local given = call('HGET', transfers, transfer)
  if not given then
    return 'done'
  end
  local in_work, orders, in_transit = unpack_counts(call('HGET', books, 'n'))
  local counts = pack_counts(in_work, orders, math.max(in_transit - 1, 0))
  call('SET', done, given, 'PX', DONE_FOR_MS)
  call('HDEL', transfers, transfer)
  call('HSET', books, 'n', counts)
  return 'done'
end

return each_item(3, 0, 1, acknowledge)
