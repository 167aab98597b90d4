#!lua
-- prepare: stores new transactions as prepared.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>  the transaction, hash
--   [2] tandem:{TAG}:due      due times of its shard, sorted set
-- and, after all items' keys, for each item with a large body:
--   [x] tandem:{TAG}:s:<request>  the staged body, string
--   [x + 1] tandem:{TAG}:b:<gid>  the body, string
-- ARGV, for each item:
--   [1] gid
--   [2] id of this request
--   [3] mode letter
--   [4] delay of the message that counts from its promotion, in µs, 0 for none
--   [5] timeout until it is due, in µs
--   [6] rest of the packed state
--   [7] body as sent, '' when it is large
--   [8] x, the place of the large body's first key, or 0
--
-- Returns now in µs, then for each item one of
--   created                it was new, and is prepared by this call or an earlier copy of it
--   ok                     it is prepared already, by another request
--   { conflict, status }   it exists in another status
--   { other_mode, mode }   it is prepared with another mode
--   restage                the staged body is gone; nothing was written
--   { error, text }        nothing was written
--
-- One script, since the test for the gid, the transaction and its due time are one change: without
-- the last, nobody would ever look at it again. Refused when Redis is full.

local function prepare(k, a)
  local hash, due = KEYS[k], KEYS[k + 1]
  local gid, request, mode, delay_us = ARGV[a], ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 3])
  local timeout_us, rest, body = ARGV[a + 4], ARGV[a + 5], ARGV[a + 6]
  local x = tonumber(ARGV[a + 7])

  local packed = call('HGET', hash, 's')
  if packed then
    local status, stored_mode, _, _, last_request = unpack_state(packed)
    if last_request == request then
      return 'created'
    end
    if status ~= 'P' then
      return { 'conflict', status }
    end
    stored_mode = string.upper(stored_mode)
    return stored_mode == mode and 'ok' or { 'other_mode', stored_mode }
  end

  local staged, body_key = KEYS[x], KEYS[x + 1]
  if x > 0 and call('EXISTS', staged) == 0 then
    return 'restage'
  end

  local fields = {}
  if delay_us > 0 then
    fields = { 'd', integer(delay_us) }
  end
  -- The one write that can fail, by a key of another type, comes first.
  call('ZADD', due, integer(now + timeout_us), gid)
  if x > 0 then
    local packed = pack_state('P', string.lower(mode), '1', '', request, '', rest)
    call('HSET', hash, 'c', now_text, 's', packed, unpack(fields))
    adopt_body(staged, body_key)
  else
    local packed = pack_state('P', mode, '1', '', request, '', rest)
    call('HSET', hash, 'c', now_text, 's', packed, 'b', body, unpack(fields))
  end
  return 'created'
end

return each_item(2, 0, 8, prepare)
