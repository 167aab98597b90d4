#!lua
-- change_sale: writes a sale's definition anew if it is still as the node found it.
--
-- KEYS, for each item:
--   [1] tandem:{flash}:all       sales by their ids, hash
--   [2] tandem:{flash}:names     their ids, sorted set (each with the score 0)
--   [3] tandem:{flash}:r:<sale>  requests that took effect, for the sale's life, hash: id -> digest
-- ARGV, for each item:
--   [1] sale
--   [2] `<version>;<created at>;` as the node found it, '' if there was no such sale
--   [3] the request's id
--   [4] a digest of what the request asks for
--   [5] the definition
--
-- A sale is stored as `<version>;<created at>;<updated at>;<definition>`, times in µs. The version
-- starts with 1 and counts its changes.
--
-- Returns now in µs, then for each item one of
--   { done, version }     it is so, since now
--   { repeated, digest }  a request of this id took effect before: nothing was written
--   changed               it is not as the node found it: nothing was written
--   { error, text }       nothing was written
--
-- One script, so that a request takes effect once, whoever repeats it, and so that of two nodes
-- that change a sale at once one starts anew from what the other left.

local function change_sale(k, a)
  local sales, names, requests = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local sale, found, request, digest = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
  local definition = ARGV[a + 4]

  local before = call('HGET', requests, request)
  if before then
    return { 'repeated', before }
  end
  local stored = call('HGET', sales, sale) or ''
  local version, created_at = string.match(stored, '^(%d+);(%d+);')
  if (version and version .. ';' .. created_at .. ';' or stored) ~= found then
    return 'changed'
  end
  version = integer((version or 0) + 1)
  local head = version .. ';' .. (created_at or now_text) .. ';' .. now_text .. ';'
  -- The one write that can fail, by a key of another type, comes first.
  call('ZADD', names, '0', sale)
  call('HSET', sales, sale, head .. definition)
  call('HSET', requests, request, digest)
  return { 'done', version }
end

return each_item(3, 0, 5, change_sale)
