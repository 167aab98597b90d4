#!lua
-- order: takes the units of an order and stores the order as a transaction, or does neither.
--
-- KEYS, for each bucket, and again where [5] is another one:
--   [1] tandem:{TAG}:f:<sale>   its books, hash
--   [2] tandem:{TAG}:fb:<sale>  its buyers, hash
--   [3] tandem:{TAG}:fr:<sale>  its reservations, hash
--   [4] tandem:{TAG}:fl:<sale>  who took of it late, list
--   [5] tandem:{TAG}:due        due times of its shard, sorted set; but for orders that are stored
--                               as ended tandem:{TAG}:fin:<minute>, gids that ended then, list
-- then, for each item:
--   [1] tandem:{TAG}:g:<gid>    the transaction, hash
-- and, after all items' keys, for each item with a large body:
--   tandem:{TAG}:s:<request>    the staged body, string
--   tandem:{TAG}:b:<gid>        the body, string
-- ARGV:
--   [1] retention of ended ones, in ms
--   [2] how many items each of these has: `<items>,…`
-- and for each item:
--   [1] gid
--   [2] `o<order>`, the row's field
--   [3] buyer
--   [4] `<item>=<units>,…`
--   [5] the packed state up to when it was written: `<S or C><mode><token>;1;<request>;;`; the mode
--       is a small letter if the body is large, the token empty if the request is not to hold it
--   [6] first lease in µs if this request is to hold it, else ''
--   [7] rest of the packed state
--   [8] body, '' when it is large
--   [9] the place of its first further key, or 0
--
-- Returns now in µs, then for each item one of
--   taken <left>, taken_held <left>
--                     stored now; held says: by this request. Left: `<left of the item>,…`
--   taken <left> <created at>, taken_held <left> <created at>
--                     an earlier copy of this request stored it
--   again <units> <left> <letter>
--                     an earlier request of the same order, buyer and units stored it; its row's
--                     letter says what became of it
--   other_buyer       the order is another buyer's
--   other_cart        the buyer's order has other units
--   unknown_sale, closed, not_open, unknown_item <item>, crowded, sold_out <item>
--   limit_reached <item>, limit_reached
--                     of this item, of the sale
--   restage           the staged body is gone; nothing was written
--   { error, text }   nothing was written
--
-- One script: what is taken is taken for a transaction that is stored, and of two copies of an
-- order one finds the other one's row.

local ENDED, SMALL = byte('C'), byte('s')

-- What is put to the keys that many orders share, at the end: due times with their gids, or the
-- gids that ended; by the place of the shared keys, n of each.
local places = {}

local function ask(s, a, n)
  local books = KEYS[s]
  ask_to_take(books, a + 1, n, 9)
end

local function open(s)
  local books, buyers, rows, late = KEYS[s], KEYS[s + 1], KEYS[s + 2], KEYS[s + 3]
  return open_to_take(s, books, buyers, rows, late)
end

-- The answer where the order has its row.
local function earlier(row, hash, a)
  local letter, units, left, stored_buyer = unpack_row(row)
  if stored_buyer ~= ARGV[a + 2] then
    return 'other_buyer'
  end
  local stored = call('HMGET', hash, 's', 'c')
  if stored[1] then
    local _, _, _, token, last_request = unpack_state(stored[1])
    if string.find(ARGV[a + 4], ';1;' .. last_request .. ';;', 1, true) then
      local word = token == last_request and 'taken_held ' or 'taken '
      return word .. left .. ' ' .. stored[2]
    end
  end
  if not are_same(units, ARGV[a + 3]) then
    return 'other_cart'
  end
  return 'again ' .. units .. ' ' .. left .. ' ' .. letter
end

-- A new one; its key is looked at, so that one of another type fails now.
local function new_place(s, has_ended)
  local due, ended = KEYS[s + 4], KEYS[s + 4]
  if has_ended then
    call('LLEN', ended)
  else
    call('ZCOUNT', due, '0', '0')
  end
  local place = { n = 0, has_ended = has_ended }
  places[s] = place
  return place
end

local function order(k, a, s)
  local hash = KEYS[k]
  local field, buyer, units = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
  local bucket = opened[s] or open(s)
  local row = bucket.rows[field]
  if row then
    return earlier(row, hash, a)
  end
  local why_not = refusal(bucket, buyer, units)
  if why_not then
    return why_not
  end

  local head, lease_us, body = ARGV[a + 4], ARGV[a + 5], ARGV[a + 7]
  local status, mode = byte(head, 1, 2)
  local has_ended, has_large_body = status == ENDED, mode == SMALL
  local x = has_large_body and tonumber(ARGV[a + 8]) or 0
  local staged, body_key = KEYS[x], KEYS[x + 1]
  if has_large_body and call('EXISTS', staged) == 0 then
    return 'restage'
  end
  local place = places[s] or new_place(s, has_ended)

  -- The one write that can fail, by a key of another type, comes first.
  local packed = head .. now_text .. ';' .. ARGV[a + 6]
  if has_large_body then
    call('HSET', hash, 'c', now_text, 's', packed)
    adopt_body(staged, body_key)
  else
    call('HSET', hash, 'c', now_text, 's', packed, 'b', body)
  end
  bucket.orders = bucket.orders + 1
  local n = place.n
  if has_ended then
    call('PEXPIREAT', hash, expires_at)
    if has_large_body then
      call('PEXPIREAT', body_key, expires_at)
    end
    place[n + 1], place.n = ARGV[a], n + 1
  else
    place[n + 1] = lease_us == '' and now_text or from_now(lease_us)
    place[n + 2], place.n = ARGV[a], n + 2
    bucket.in_work = bucket.in_work + 1
  end
  take_units(bucket, buyer, units, has_ended and 'sold' or 'held')
  local left = what_is_left(bucket, units)
  put_row(bucket, field, (has_ended and 'S;' or 'H;') .. units .. ';' .. left .. ';' .. buyer)
  return (lease_us == '' and 'taken ' or 'taken_held ') .. left
end

local function write(s)
  local books, buyers, rows, late = KEYS[s], KEYS[s + 1], KEYS[s + 2], KEYS[s + 3]
  local due, ended = KEYS[s + 4], KEYS[s + 4]
  write_bucket(books, buyers, rows)
  write_late(books, late)
  local place = places[s]
  if not place or place.n == 0 then
    return
  elseif place.has_ended then
    list_ended(ended, place)
  else
    call('ZADD', due, unpack(place))
  end
end

return each_of_buckets(5, 1, 2, 9, ask, order, write)
