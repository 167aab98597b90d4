#!lua flags=no-writes
-- list_sales: the next sales in the order of their ids.
--
-- KEYS, for each item:
--   [1] tandem:{flash}:all    sales by their ids, hash
--   [2] tandem:{flash}:names  their ids, sorted set
-- ARGV, for each item:
--   [1] `(` and the id behind which to begin, `-` for the first
--   [2] how many to answer at most
--
-- Returns now in µs, then for each item one of
--   { sales, id, sale, … }  each as change_sale stores it
--   { error, text }
--
-- One script, so that ids and sales are of the same moment.

local function list_sales(k, a)
  local sales, names = KEYS[k], KEYS[k + 1]
  local from, limit = ARGV[a], ARGV[a + 1]

  local listed = { 'sales' }
  for _, name in ipairs(call('ZRANGE', names, from, '+', 'BYLEX', 'LIMIT', '0', limit)) do
    local stored = call('HGET', sales, name)
    if stored then
      listed[#listed + 1] = name
      listed[#listed + 1] = stored
    end
  end
  return listed
end

return each_item(2, 0, 2, list_sales)
