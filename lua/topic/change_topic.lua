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
-- A topic is stored as `<version>;<created at>;<updated at>;<list>`, times in µs. The version
-- starts with 1 and counts its changes.
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
  local stored = call('HGET', topics, name) or ''
  local version, created_at = string.match(stored, '^(%d+);(%d+);')
  if (version and version .. ';' .. created_at .. ';' or stored) ~= found then
    return 'changed'
  end
  -- The one write that can fail, by a key of another type, comes first.
  if list == '' then
    call('ZREM', names, name)
    call('HDEL', topics, name)
  else
    call('ZADD', names, '0', name)
    local head = integer((version or 0) + 1) .. ';' .. (created_at or now_text)
    call('HSET', topics, name, head .. ';' .. now_text .. ';' .. list)
  end
  call('HSET', done, 'name', name)
  call('PEXPIREAT', done, integer(math.floor(now / 1000) + KEPT_MS))
  return 'done'
end

return each_item(3, 0, 3, change_topic)
