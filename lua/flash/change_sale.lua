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
  local head, version = new_head(sales, sale, found)
  if not head then
    return 'changed'
  end
  put_entry(sales, names, sale, head .. definition)
  call('HSET', requests, request, digest)
  return { 'done', version }
end

return each_item(3, 0, 5, change_sale)
