#!lua flags=allow-oom
-- reset: makes transactions due now; a held one, as soon as its holder lets it rest.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>  the transaction, hash
--   [2] tandem:{TAG}:due      due times of its shard, sorted set
-- ARGV, for each item:
--   [1] gid
--
-- Returns now in µs, then for each item one of
--   done                it is due, or will be when its holder lets it rest
--   { ended, status }   it has ended
--   missing             no such gid
--   { error, text }     nothing was written
--
-- One script: a hold that begins between the test and the write would have its lease cut short.

local function reset(k, a)
  local hash, due = KEYS[k], KEYS[k + 1]
  local gid = ARGV[a]

  local packed = call('HGET', hash, 's')
  if not packed then
    return 'missing'
  end
  local status, _, _, token = unpack_state(packed)
  if is_final(status) then
    return { 'ended', status }
  end
  if token == '' then
    call('ZADD', due, now_text, gid)
  else
    call('HSET', hash, 'w', '1')
  end
  return 'done'
end

return each_item(2, 0, 1, reset)
