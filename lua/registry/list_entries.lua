#!lua flags=no-writes
-- list_entries: the next topics, or definitions of sales, in the order of their names.
--
-- KEYS, for each item, both of topics or both of sales:
--   [1] tandem:{topics}:all    topics by their names, hash
--       tandem:{flash}:all     or sales by their ids, hash
--   [2] tandem:{topics}:names  their names, sorted set
--       tandem:{flash}:names
-- ARGV, for each item:
--   [1] `(` and the name behind which to begin, `-` for the first
--   [2] how many to answer at most
--
-- Returns now in µs, then for each item one of
--   { entries, name, entry, … }  each as lua/lib/registry.lua has it
--   { error, text }
--
-- One script, so that names and entries are of the same moment.

local function list_entries(k, a)
  local entries, names = KEYS[k], KEYS[k + 1]
  local from, limit = ARGV[a], ARGV[a + 1]

  local listed = { 'entries' }
  for _, name in ipairs(call('ZRANGE', names, from, '+', 'BYLEX', 'LIMIT', '0', limit)) do
    local stored = call('HGET', entries, name)
    if stored then
      listed[#listed + 1] = name
      listed[#listed + 1] = stored
    end
  end
  return listed
end

return each_item(2, 0, 2, list_entries)
