#!lua
-- hold: takes units for a branch stock://… of a transaction of any shard.
--
-- KEYS, for each bucket:
--   [1] tandem:{TAG}:f:<sale>   its books, hash
--   [2] tandem:{TAG}:fb:<sale>  its buyers, hash
--   [3] tandem:{TAG}:fr:<sale>  its reservations, hash
--   [4] tandem:{TAG}:fl:<sale>  who took of it late, list
-- ARGV:
--   [1] how many items each bucket has: `<items>,…`
-- and for each item:
--   [1] `b<length of the branch id>:<branch id><gid>`, the row's field
--   [2] buyer
--   [3] `<item>=<units>`
--
-- Returns now in µs, then for each item one of
--   held              now, or by an earlier call (and perhaps sold by now)
--   released          it was given back, or its compensation came first: it never holds again
--   other_content     the branch holds something else, or for somebody else
--   unknown_sale, closed, not_open, unknown_item <item>, crowded, sold_out <item>
--   limit_reached <item>, limit_reached
--                     of this item, of the sale
--   { error, text }   nothing was written
--
-- One script: units are taken, and the row says by whom, at once, so that a repeat takes no more.

local function ask(s, a, n)
  local books = KEYS[s]
  ask_to_take(books, a, n, 3)
end

local function open(s)
  local books, buyers, rows, late = KEYS[s], KEYS[s + 1], KEYS[s + 2], KEYS[s + 3]
  return open_to_take(s, books, buyers, rows, late)
end

local function hold(_, a, s)
  local field, buyer, units = ARGV[a], ARGV[a + 1], ARGV[a + 2]
  local bucket = opened[s] or open(s)
  local row = bucket.rows[field]
  if row then
    local letter, taken, _, stored_buyer = unpack_row(row)
    if letter == 'R' then
      return 'released'
    end
    local is_same = stored_buyer == buyer and are_same(taken, units)
    return is_same and 'held' or 'other_content'
  end
  local why_not = refusal(bucket, buyer, units)
  if why_not then
    return why_not
  end
  take_units(bucket, buyer, units, 'held')
  put_row(bucket, field, 'H;' .. units .. ';;' .. buyer)
  return 'held'
end

local function write(s)
  local books, buyers, rows, late = KEYS[s], KEYS[s + 1], KEYS[s + 2], KEYS[s + 3]
  write_bucket(books, buyers, rows)
  write_late(books, late)
end

return each_of_buckets(4, 0, 1, 3, ask, hold, write)
