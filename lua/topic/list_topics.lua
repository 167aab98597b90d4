#!lua flags=no-writes
-- list_topics: the next topics in the order of their names.
--
-- KEYS, for each item:
--   [1] tandem:{topics}:all    topics by their names, hash
--   [2] tandem:{topics}:names  their names, sorted set
-- ARGV, for each item:
--   [1] `(` and the name behind which to begin, `-` for the first
--   [2] how many to answer at most
--
-- Returns now in µs, then for each item one of
--   { topics, name, topic, … }  each as change_topic stores it
--   { error, text }
--
-- One script, so that names and topics are of the same moment.

local function list_topics(k, a)
  local topics, names = KEYS[k], KEYS[k + 1]
  local from, limit = ARGV[a], ARGV[a + 1]

  local listed = { 'topics' }
  for _, name in ipairs(call('ZRANGE', names, from, '+', 'BYLEX', 'LIMIT', '0', limit)) do
    local stored = call('HGET', topics, name)
    if stored then
      listed[#listed + 1] = name
      listed[#listed + 1] = stored
    end
  end
  return listed
end

return each_item(2, 0, 2, list_topics)
