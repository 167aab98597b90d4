#!lua flags=no-writes
-- find_sale: a sale's definition as it is stored.
--
-- KEYS, for each item:
--   [1] tandem:{flash}:all  sales by their ids, hash
-- ARGV, for each item:
--   [1] sale
--
-- Returns now in µs, then for each item one of
--   { found, sale }  as change_sale stores it
--   missing          there is none
--   { error, text }
--
-- One script, so that what several requests ask for at once is one call.

local function find_sale(k, a)
  local sales = KEYS[k]

  local stored = call('HGET', sales, ARGV[a])
  return stored and { 'found', stored } or 'missing'
end

return each_item(1, 0, 1, find_sale)
