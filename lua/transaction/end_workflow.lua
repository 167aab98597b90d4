#!lua flags=allow-oom
-- end_workflow: ends prepared workflows as their clients say, over whoever holds them.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>      the transaction, hash
--   [2] tandem:{TAG}:b:<gid>      its body, string, if that is large
--   [3] tandem:{TAG}:due          due times of its shard, sorted set
--   [4] tandem:{TAG}:fin:<minute> gids that ended in that minute, list
-- ARGV:
--   [1] retention of ended ones, in ms
-- and for each item:
--   [1] gid
--   [2] id of this request
--   [3] status letter, C or F
--   [4] reason, '' for none
--   [5] what it resulted in, '' for nothing
--
-- Returns now in µs, then for each item one of
--   { ended, created at }   it has ended so, by this request
--   { there, created at }   it had ended so before
--   { conflict, status }    it had ended otherwise
--   { other_mode, mode }    it exists with another mode
--   missing                 no such gid
--   { error, text }         nothing was written
--
-- One script: it takes the hold away in the same change, so that nobody resumes what has ended.

local function end_workflow(k, a)
  local hash, body, due, ended = KEYS[k], KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
  local gid, request, final = ARGV[a], ARGV[a + 1], ARGV[a + 2]
  local reason, result = ARGV[a + 3], ARGV[a + 4]

  local stored = call('HMGET', hash, 's', 'c')
  if not stored[1] then
    return 'missing'
  end
  local status, mode, _, _, last_request = unpack_state(stored[1])
  mode = string.upper(mode)
  if last_request == request then
    return { 'ended', stored[2] }
  end
  if mode ~= 'W' then
    return { 'other_mode', mode }
  end
  if status == final then
    return { 'there', stored[2] }
  end
  if status ~= 'P' then
    return { 'conflict', status }
  end
  stop(hash, body, due, ended, gid, request, final, reason)
  if result ~= '' then
    call('HSET', hash, 'e', result)
  end
  return { 'ended', stored[2] }
end

return each_item(4, 1, 5, end_workflow)
