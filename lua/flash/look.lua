#!lua flags=no-writes
-- look: reads a bucket's books, all of one instant.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:f:<sale>  the bucket's books, hash
-- ARGV, for each item:
--   [1] '', so that there is one for each
--
-- Returns now in µs, then for each item one of
--   { books, field, value, … }
--   missing           the bucket knows no such sale
--   { error, text }
--
-- One script, for Redis's time of that instant.

local function look(k)
  local books = KEYS[k]
  local reply = all_books(books)
  if #reply == 0 then
    return 'missing'
  end
  table.insert(reply, 1, 'books')
  return reply
end

return each_item(1, 0, 1, look)
