#!lua flags=allow-oom
-- renew: extends holds.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>  the transaction, hash
--   [2] tandem:{TAG}:due      due times of its shard, sorted set
-- ARGV, for each item:
--   [1] gid
--   [2] token of the hold
--   [3] lease from now, in µs
--
-- Returns now in µs, then for each item one of
--   renewed           it is held until then, or longer
--   refused           the hold is over: stop, and call nothing more
--   { error, text }   nothing was written
--
-- One script, so that a hold that another node took meanwhile is never extended. It never shortens,
-- never makes an entry, and always changes the score, so that no second step of a claim fits it.

local function renew(k, a)
  local hash, due = KEYS[k], KEYS[k + 1]
  local gid, token, lease_us = ARGV[a], ARGV[a + 1], ARGV[a + 2]

  local packed = call('HGET', hash, 's')
  if not packed then
    return 'refused'
  end
  local status, _, _, stored_token = unpack_state(packed)
  if stored_token ~= token or is_final(status) then
    return 'refused'
  end
  local score = call('ZSCORE', due, gid)
  if not score then
    return 'refused'
  end
  call('ZADD', due, integer(math.max(score + 1, now + lease_us)), gid)
  return 'renewed'
end

return each_item(2, 0, 3, renew)
