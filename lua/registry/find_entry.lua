#!lua flags=no-writes
-- find_entry: an entry of a registry, a topic or a sale's definition, as it is stored.
--
-- KEYS, for each item:
--   [1] tandem:{topics}:all  topics by their names, hash
--       tandem:{flash}:all   or sales by their ids, hash
-- ARGV, for each item:
--   [1] name
--
-- Returns now in µs, then for each item one of
--   { found, entry }  as lua/lib/registry.lua has it
--   missing           there is none
--   { error, text }
--
-- One script, so that what several requests ask for at once is one call.

local function find_entry(k, a)
  local entries = KEYS[k]

  local stored = call('HGET', entries, ARGV[a])
  return stored and { 'found', stored } or 'missing'
end

return each_item(1, 0, 1, find_entry)
