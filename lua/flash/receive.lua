#!lua flags=allow-oom
-- receive: puts units that another bucket gave into this one.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:f:<sale>   the bucket's books, hash
--   [2] tandem:{TAG}:fr:<sale>  its reservations, hash
-- ARGV, for each item:
--   [1] the transfer's id
--   [2] item
--   [3] how many units
--
-- Returns now in µs, then for each item one of
--   done              by this call or an earlier one of the same transfer
--   unknown_sale      nothing was written
--   unknown_item      nothing was written
--   { error, text }   nothing was written
--
-- One script: the row that says that the transfer arrived is written with the units, so that they
-- arrive once.

local function receive(k, a)
  local books, rows = KEYS[k], KEYS[k + 1]
  local field, name, units = 't' .. ARGV[a], ARGV[a + 1], tonumber(ARGV[a + 2])

  local row = call('HGET', rows, field)
  if row then
    return 'done'
  end
  local stored = call('HMGET', books, '_', 'i:' .. name)
  if not stored[1] then
    return 'unknown_sale'
  elseif not stored[2] then
    return 'unknown_item'
  end
  local item = unpack_item(stored[2])
  -- Not put_back: nobody says "sold out" from memory while units are under way. So they are for
  -- sale at once; but whoever takes them is late.
  if item.available == 0 then
    item.reopens = now
  end
  item.available, item.supply = item.available + units, item.supply + units
  item.takes = item.takes + 1
  call('HSET', rows, field, name .. '=' .. integer(units))
  call('HSET', books, 'i:' .. name, pack_item(item))
  return 'done'
end

return each_item(2, 0, 3, receive)
