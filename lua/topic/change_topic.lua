#!lua
-- change_topic: writes a topic anew, or removes it, if it is still as the node found it.
--
-- KEYS, for each item:
--   [1] tandem:{topics}:all          topics by their names, hash
--   [2] tandem:{topics}:names        their names, sorted set (each with the score 0)
--   [3] tandem:{topics}:r:<request>  says for a minute that the request was done, hash
-- ARGV, for each item:
--   [1] name
--   [2] `<version>;<created at>;` as the node found it, '' if there was no such topic
--   [3] the list of its subscribers, '' to remove the topic
--
-- Returns now in µs, then for each item one of
--   done             it is so, by this request or by an earlier copy of it
--   changed          it is not as the node found it: nothing was written
--   { error, text }  nothing was written
--
-- One script, so that of two nodes that change a topic at once one starts anew from what the other
-- left. Only the node reads the list.

-- Longer than any request is repeated.
local KEPT_MS = 60000

local function change_topic(k, a)
  local topics, names, done = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local name, found, list = ARGV[a], ARGV[a + 1], ARGV[a + 2]

  if call('EXISTS', done) == 1 then
    return 'done'
  end
  local head = new_head(topics, name, found)
  if not head then
    return 'changed'
  end
  if list == '' then
    -- First, as in put_entry: this is the one that can fail.
    call('ZREM', names, name)
    call('HDEL', topics, name)
  else
    put_entry(topics, names, name, head .. list)
  end
  call('HSET', done, 'name', name)
  call('PEXPIREAT', done, integer(math.floor(now / 1000) + KEPT_MS))
  return 'done'
end

return each_item(3, 0, 3, change_topic)
