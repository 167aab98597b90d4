#!lua flags=allow-oom
-- promote: submits what is prepared; the part of submit that a full Redis still accepts.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>  the transaction, hash
--   [2] tandem:{TAG}:due      due times of its shard, sorted set
-- ARGV, for each item:
--   [1] gid
--   [2] id of this request, and token of the hold
--   [3] mode letter
--   [4] first lease in µs if this request is to hold it, else ''
--   [5] delay in µs, or '' for the one that was prepared
--   [6] text that overrides what was prepared, '' for none
--
-- Returns now in µs, then for each item one of
--   { held, created at, state, body, override, reason, branches }
--                          this request holds what is stored
--   { created, created at }, { created_held, created at }
--                          it was created by this very request; held says: and held by it
--   not_held               it is submitted or beyond by this very request, which does not hold it
--   { other_mode, mode }   it exists with another mode
--   not_prepared           it does not exist, or not as prepared
--   { error, text }        nothing was written
--
-- One script, as submit is one; apart from it, since a script says as a whole whether a full Redis
-- runs it.

local function promote(k, a)
  local hash, due = KEYS[k], KEYS[k + 1]
  local gid, request, mode = ARGV[a], ARGV[a + 1], ARGV[a + 2]
  local lease_us, delay, override = ARGV[a + 3], ARGV[a + 4], ARGV[a + 5]

  local packed = call('HGET', hash, 's')
  if not packed then
    return 'not_prepared'
  end
  local status, stored_mode, n, token, last_request = unpack_state(packed)
  if last_request == request then
    return own_repeat(hash, n, token, request)
  end
  if status ~= 'P' then
    return 'not_prepared'
  end
  if string.upper(stored_mode) ~= mode then
    return { 'other_mode', string.upper(stored_mode) }
  end
  return promote_prepared(hash, due, gid, request, lease_us, delay, override)
end

return each_item(2, 0, 6, promote)
