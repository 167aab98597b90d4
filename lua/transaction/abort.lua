#!lua flags=allow-oom
-- abort: ends prepared messages as failed, and has prepared tcc and xa undone.
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
--   [4] first lease in µs if this request is to hold what is undone, else ''
--
-- Returns now in µs, then for each item one of
--   done                       a message; it has ended as failed, by this request
--   { held, created at, state, body, override, reason, branches }
--                              a tcc or xa; it is aborting, and this request holds it
--   not_held                   a tcc or xa; it is aborting or, by this very request, beyond, and
--                              this request does not hold it
--   { conflict, mode, status } it exists, and its mode or status admits no abort
--   missing                    no such gid
--   { error, text }            nothing was written
--
-- One script, since a submit, a back-check and a timeout may decide the same one at the same time.

-- Turns what is prepared to aborting, over whoever held it, so that no branch that was registered
-- since the holder looked is left out.
local function undo(hash, due, gid, request, reason, lease_us)
  local stored = call('HMGET', hash, 's', 'w')
  local _, mode, n, _, _, not_before, rest_at = unpack_state(stored[1])
  local is_held = lease_us ~= ''
  local token, rest = is_held and request or '', string.sub(stored[1], rest_at)
  put_due_anew(due, gid, is_held and now + lease_us or now)
  call('HSET', hash, 's', pack_state('A', mode, n + 1, token, request, not_before, rest))
  if reason ~= '' then
    call('HSET', hash, 'r', reason)
  end
  if stored[2] then
    call('HDEL', hash, 'w')
  end
  return is_held and whole('held', hash) or 'not_held'
end

local function abort(k, a)
  local hash, body, due, ended = KEYS[k], KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
  local gid, request, reason, lease_us = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]

  local packed = call('HGET', hash, 's')
  if not packed then
    return 'missing'
  end
  local status, mode, _, token, last_request = unpack_state(packed)
  mode = string.upper(mode)
  local is_undone = mode == 'T' or mode == 'X'
  if last_request == request then
    if not is_undone then
      return 'done'
    end
    return token == request and whole('held', hash) or 'not_held'
  end
  if mode == 'M' and status == 'P' then
    return stop(hash, body, due, ended, gid, request, 'F', reason)
  end
  if is_undone and status == 'P' then
    return undo(hash, due, gid, request, reason, lease_us)
  end
  if is_undone and status == 'A' then
    -- Nothing is decided: a second worker would only repeat the first one's calls.
    if token == '' then
      call('ZADD', due, now_text, gid)
    end
    return 'not_held'
  end
  return { 'conflict', mode, status }
end

return each_item(4, 1, 4, abort)
