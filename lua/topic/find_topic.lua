#!lua flags=no-writes
-- find_topic: a topic as it is stored.
--
-- KEYS, for each item:
--   [1] tandem:{topics}:all  topics by their names, hash
-- ARGV, for each item:
--   [1] name
--
-- Returns now in µs, then for each item one of
--   { found, topic }  as change_topic stores it
--   missing           there is none
--   { error, text }
--
-- One script, so that what several transactions ask for at once is one call.

local function find_topic(k, a)
  local topics = KEYS[k]

  local stored = call('HGET', topics, ARGV[a])
  return stored and { 'found', stored } or 'missing'
end

return each_item(1, 0, 1, find_topic)
