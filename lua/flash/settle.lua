#!lua flags=allow-oom
-- settle: ends the reservation of a branch stock://…: its units are sold or given back.
--
-- KEYS, for each bucket:
--   [1] tandem:{TAG}:f:<sale>   its books, hash
--   [2] tandem:{TAG}:fb:<sale>  its buyers, hash
--   [3] tandem:{TAG}:fr:<sale>  its reservations, hash
-- ARGV:
--   [1] how many items each bucket has: `<items>,…`
-- and for each item:
--   [1] `b<length of the branch id>:<branch id><gid>`, the row's field
--   [2] buyer, for the row of one that never held
--   [3] S to sell, R to give back
--
-- Returns now in µs, then for each item one of
--   done              by this call or an earlier one. Giving back what never held bars it for good
--   otherwise         it ended the other way: nothing was written
--   missing           there is nothing to sell
--   unknown_sale      nothing was written
--   { error, text }   nothing was written
--
-- One script: the units and the row that says whose they were change at once, each once.

local function ask(s, a, n)
  local books = KEYS[s]
  ask_to_settle(books, a, a + 2, 'S', n, 3)
end

local function open(s)
  local books, buyers, rows = KEYS[s], KEYS[s + 1], KEYS[s + 2]
  return open_bucket(s, books, buyers, rows)
end

local function settle(_, a, s)
  local field, buyer, letter = ARGV[a], ARGV[a + 1], ARGV[a + 2]
  local bucket = opened[s] or open(s)
  local row = bucket.rows[field]
  if not bucket.is_known then
    return 'unknown_sale'
  elseif not row and letter == 'S' then
    return 'missing'
  elseif not row then
    put_row(bucket, field, 'R;;;' .. buyer)
    return 'done'
  end
  local units = held_units(bucket, field, letter == 'R')
  if units then
    settle_row(bucket, field, units, letter)
    return 'done'
  end
  return (unpack_row(row)) == letter and 'done' or 'otherwise'
end

local function write(s)
  local books, buyers, rows = KEYS[s], KEYS[s + 1], KEYS[s + 2]
  write_bucket(books, buyers, rows)
end

return each_of_buckets(3, 0, 1, 3, ask, settle, write)
