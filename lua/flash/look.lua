#!lua flags=no-writes
-- look: reads a bucket's books, all of one instant.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:f:<sale>   the bucket's books, hash
--   [2] tandem:{TAG}:fl:<sale>  who took of it late, list
-- ARGV, for each item:
--   [1] how many late takes are known; '' if they are not asked for
--
-- Returns now in µs, then for each item one of
--   { books, <late takers that follow>, buyer, …, field, value, … }
--                     the takers behind the known ones, or as many as the list has of them
--   missing           the bucket knows no such sale
--   { error, text }
--
-- One script, for Redis's time of that instant, and all late takers up to it.

local function late_takers(books, late, n_known)
  local n_new = tonumber(call('HGET', books, 'l') or 0) - n_known
  return n_new > 0 and call('LRANGE', late, -n_new, -1) or {}
end

local function look(k, a)
  local books, late = KEYS[k], KEYS[k + 1]
  local n_known = tonumber(ARGV[a])
  local fields = all_books(books)
  if #fields == 0 then
    return 'missing'
  end
  local takers = n_known and late_takers(books, late, n_known) or {}
  local reply = { 'books', #takers }
  for _, list in ipairs({ takers, fields }) do
    for i = 1, #list do
      reply[#reply + 1] = list[i]
    end
  end
  return reply
end

return each_item(2, 0, 1, look)
