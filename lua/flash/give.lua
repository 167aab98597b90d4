#!lua
-- give: takes available units out of a bucket, for another one.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:f:<sale>       the bucket's books, hash
--   [2] tandem:{TAG}:ft:<sale>      its transfers that are not acknowledged, hash
--   [3] tandem:{TAG}:fd:<transfer>  says that the transfer was acknowledged, string
-- ARGV, for each item:
--   [1] the transfer's id
--   [2] the receiver's shard
--   [3] item
--   [4] how many units at the most
--
-- Returns now in µs, then for each item one of
--   { given, units }  by this call or an earlier copy of it; 0: nothing was written
--   unknown_sale      nothing was written
--   unknown_item      nothing was written
--   { error, text }   nothing was written
--
-- One script: units that leave the books are noted as under way, so that any node can bring them to
-- their end. A copy that comes after that must give none again.

local function give(k, a)
  local books, transfers, done = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local transfer, shard, name, most = ARGV[a], ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 3])

  local given = call('HGET', transfers, transfer) or call('GET', done)
  if given then
    return { 'given', tonumber(string.match(given, '=(%d+)$')) }
  end
  local stored = call('HMGET', books, '_', 'n', 'i:' .. name)
  if not stored[1] then
    return 'unknown_sale'
  elseif not stored[3] then
    return 'unknown_item'
  end
  local in_work, orders, in_transit = unpack_counts(stored[2])
  local item = unpack_item(stored[3])
  local units = item.reopens > now and 0 or math.min(most, item.available)
  if units == 0 then
    return { 'given', 0 }
  end
  item.available, item.supply = item.available - units, item.supply - units
  item.takes = item.takes + 1
  local counts = pack_counts(in_work, orders, in_transit + 1)
  call('HSET', transfers, transfer, shard .. ';' .. name .. '=' .. integer(units))
  call('HSET', books, 'n', counts, 'i:' .. name, pack_item(item))
  return { 'given', units }
end

return each_item(3, 0, 4, give)
