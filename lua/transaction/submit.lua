#!lua
-- submit: stores new transactions as submitted (or as ended, where there is nothing to call), and
-- submits what is prepared. Only sagas and messages begin with a submit.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>  the transaction, hash
--   [2] tandem:{TAG}:due      due times of its shard, sorted set
-- and, after all items' keys, for each item that needs them, in this order:
--   tandem:{TAG}:s:<request>  the staged body, string; of a large body
--   tandem:{TAG}:b:<gid>      the body, string; of a large body
--   tandem:{TAG}:fin:<minute> gids that ended in that minute, list; of one that is stored as ended
-- ARGV:
--   [1] retention of ended ones, in ms
-- and for each item:
--   [1] gid
--   [2] id of this request, and token of the hold
--   [3] mode letter, small if the body is large
--   [4] first lease in µs if this request is to hold it, else ''
--   [5] delay in µs; '' for none, or for the one that was prepared
--   [6] text that overrides what was prepared, '' for none
--   [7] status letter to store where the gid is new: S, C or F
--   [8] rest of the packed state where the gid is new
--   [9] body as sent, '' when it is large
--   [10] the place of its first further key, or 0
--
-- Returns now in µs, then for each item one of
--   created, created_held  it was new, and is created now; held says: by this request
--   { created, created at }, { created_held, created at }  an earlier copy of the request did it
--   { held, created at, state, body, override, reason, branches }
--                          this request holds what is stored
--   not_held               it is submitted or beyond, and not held by this request
--   { conflict, status }   it exists in a status that no submit changes
--   { other_mode, mode }   it exists with another mode
--   missing                no such gid, and its mode cannot begin so: nothing was written
--   restage                the staged body is gone; nothing was written
--   { error, text }        nothing was written
--
-- One script, since two nodes may be asked to submit the same gid at once, and since what is stored
-- as held must be due at the end of the lease. Refused when Redis is full; promote is not.

local function create(k, a)
  local hash, due = KEYS[k], KEYS[k + 1]
  local gid, request, mode = ARGV[a], ARGV[a + 1], ARGV[a + 2]
  if string.find('TXWtxw', mode, 1, true) then
    -- What its client tried before would be forgotten.
    return 'missing'
  end
  local lease_us, delay = ARGV[a + 3], ARGV[a + 4]
  local status, rest, body = ARGV[a + 6], ARGV[a + 7], ARGV[a + 8]
  local has_large_body, has_ended = is_large(mode), is_final(status)
  local x = (has_large_body or has_ended) and tonumber(ARGV[a + 9]) or 0
  -- Most have no further keys. These are what their names say only where the body is large.
  local staged, body_key = KEYS[x], KEYS[x + 1]
  if has_large_body and call('EXISTS', staged) == 0 then
    return 'restage'
  end

  -- The one write that can fail, by a key of another type, comes first.
  local token, not_before = '', ''
  if has_ended then
    local ended = KEYS[has_large_body and x + 2 or x]
    leave_due(due, ended, gid)
  elseif delay ~= '' and delay ~= '0' then
    -- The delay wins over the hold: nothing may be called before it is over.
    not_before = from_now(delay)
    call('ZADD', due, not_before, gid)
  elseif lease_us ~= '' then
    token = request
    call('ZADD', due, from_now(lease_us), gid)
  else
    call('ZADD', due, now_text, gid)
  end
  local packed = pack_state(status, mode, '1', token, request, not_before, rest)
  if has_large_body then
    call('HSET', hash, 'c', now_text, 's', packed)
    adopt_body(staged, body_key)
    if has_ended then
      call('PEXPIREAT', body_key, expires_at)
    end
  else
    call('HSET', hash, 'c', now_text, 's', packed, 'b', body)
  end
  if has_ended then
    call('PEXPIREAT', hash, expires_at)
  end
  return token == '' and 'created' or 'created_held'
end

local function submit(k, a)
  local hash, due = KEYS[k], KEYS[k + 1]
  local packed = call('HGET', hash, 's')
  if not packed then
    return create(k, a)
  end
  local gid, request, mode = ARGV[a], ARGV[a + 1], string.upper(ARGV[a + 2])
  local lease_us, delay, override = ARGV[a + 3], ARGV[a + 4], ARGV[a + 5]
  local status, stored_mode, n, token, last_request, not_before = unpack_state(packed)
  if last_request == request then
    return own_repeat(hash, n, token, request)
  end
  if (status == 'P' or status == 'S') and string.upper(stored_mode) ~= mode then
    return { 'other_mode', string.upper(stored_mode) }
  end
  if status == 'P' then
    return promote_prepared(hash, due, gid, request, lease_us, delay, override)
  end
  local is_open_or_done = status == 'S' or status == 'C'
  local is_message = mode == 'M' and string.upper(stored_mode) == mode
  if last_request == '' and is_open_or_done and is_message then
    -- A back-check promoted it: this is the client's first submit, and must not be told of a
    -- conflict.
    call('HSET', hash, 's', with_request(packed, request))
    return 'not_held'
  end
  if status == 'S' then
    if token == '' and (not_before == '' or tonumber(not_before) <= now) then
      call('ZADD', due, now_text, gid)
    end
    return 'not_held'
  end
  return { 'conflict', status }
end

return each_item(2, 1, 10, submit)
