#!lua flags=no-writes
-- query: what is stored.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>  the transaction, hash
--   [2] tandem:{TAG}:due      due times of its shard, sorted set
-- ARGV, for each item:
--   [1] gid
--
-- Returns now in µs, then for each item one of
--   { found, created at, state, body, override, reason, branches, due at, result }
--                     body is absent when it is in a key of its own, branches (each a field's name
--                     and what it holds) but for tcc, xa and workflow, due at once it has ended,
--                     result but for a workflow that left one
--   missing           no such gid
--   { error, text }
--
-- One script, so that the state, the hold and the due time are of the same moment.

local function query(k, a)
  local hash, due = KEYS[k], KEYS[k + 1]
  local gid = ARGV[a]

  local found = whole('found', hash)
  if not found[3] then
    return 'missing'
  end
  local score = call('ZSCORE', due, gid)
  -- What is absent is false: a reply ends at its first nil.
  found[7] = found[7] or false
  found[8] = score and integer(tonumber(score)) or false
  found[9] = found[7] and call('HGET', hash, 'e')
  return found
end

return each_item(2, 0, 1, query)
