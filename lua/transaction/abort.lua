#!lua flags=allow-oom
-- abort: ends prepared messages as failed.
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
--   [3] reason, '' for none
--
-- Returns now in µs, then for each item one of
--   done                       it has ended as failed, by this request
--   { conflict, mode, status } it exists, and its mode or status admits no abort
--   missing                    no such gid
--   { error, text }            nothing was written
--
-- One script, since a submit and a back-check may decide the same message at the same time.

local function abort(k, a)
  local hash, body, due, ended = KEYS[k], KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
  local gid, request, reason = ARGV[a], ARGV[a + 1], ARGV[a + 2]

  local packed = call('HGET', hash, 's')
  if not packed then
    return 'missing'
  end
  local status, mode, _, _, last_request = unpack_state(packed)
  if last_request == request then
    return 'done'
  end
  mode = string.upper(mode)
  if mode ~= 'M' or status ~= 'P' then
    return { 'conflict', mode, status }
  end
  return stop(hash, body, due, ended, gid, request, reason)
end

return each_item(4, 1, 3, abort)
