-- The buckets that a call works on. What its items need of a bucket is read when the first of them
-- comes to it, kept in tables in between, where one item sees what those before it did, and written
-- once at the end. All that can fail by a key of another type is read first, so that these writes
-- cannot. A bucket goes by the key of its books.
--
-- Most of what a call does is done here, once for each of its items, and takes Lua longer than the
-- commands take Redis. So what can be is done once for all, and a loop is where the items are.

local byte, gmatch, match = string.byte, string.gmatch, string.match

local HELD = byte('H')

local buckets = {}

-- Those that were read, by the place of their keys: an item opens its bucket when it needs it,
-- since whoever needs nothing of it is answered whatever state it is in.
local opened = {}

-- Lists of units are texts `<item>=<units>,…`. Each is taken apart once a call: items and units by
-- turns, n of both; also by item, and in all.
local lists = {}

local function units_of(text)
  local list = lists[text]
  if list then
    return list
  end
  local n, all, by_item = 0, 0, {}
  list = {}
  for item, digits in gmatch(text, '([^=,]+)=(%d+)') do
    local units = tonumber(digits)
    list[n + 1], list[n + 2] = item, units
    n, all, by_item[item] = n + 2, all + units, units
  end
  list.n, list.all, list.by_item = n, all, by_item
  lists[text] = list
  return list
end

local function bucket_at(books)
  local bucket = buckets[books]
  if not bucket then
    bucket = { fields = {}, n_fields = 0, who = {}, n_who = 0, carts = {}, held = {} }
    buckets[books] = bucket
  end
  return bucket
end

-- Notes what n items will need that may take units: their rows, their buyers, and the units, which
-- are three arguments of each; the first ones are at ARGV[a].
local function ask_to_take(books, a, n, n_args)
  local bucket = bucket_at(books)
  local fields, who, carts, n_before = bucket.fields, bucket.who, bucket.carts, bucket.n_fields
  for i = n_before + 1, n_before + n do
    local units = ARGV[a + 2]
    fields[i], who[i] = ARGV[a], ARGV[a + 1]
    if not carts[units] then
      carts[units] = units_of(units)
    end
    a = a + n_args
  end
  bucket.n_fields, bucket.n_who = n_before + n, n_before + n
end

-- The same of n that may end what their rows hold: the first row is ARGV[a], the first letter
-- ARGV[letter_at]. Where the letter is `keeps`, the buyer keeps the units, and his own are not
-- asked for.
local function ask_to_settle(books, a, letter_at, keeps, n, n_args)
  local bucket = bucket_at(books)
  local fields, n_before = bucket.fields, bucket.n_fields
  for i = n_before + 1, n_before + n do
    fields[i] = ARGV[a]
    if ARGV[letter_at] ~= keeps then
      bucket.gives_back = true
    end
    a, letter_at = a + n_args, letter_at + n_args
  end
  bucket.n_fields, bucket.settles = n_before + n, true
end

-- Rows are `<letter>;<item>=<units>,…;<left>,…;<buyer>`: H held, S sold, R released; what was left
-- of each item after it was taken, which only an order is told again.
local function unpack_row(text)
  local letter, units, left, buyer = match(text, '^([HSR]);([^;]*);([^;]*);(.*)$')
  if not letter then
    error('the row of a reservation cannot be read', 0)
  end
  return letter, units, left, buyer
end

local function buyer_of(row)
  return match(row, '^H;[^;]*;[^;]*;(.*)$')
end

-- Those that there are; of those that are held and may be settled, their units ('' where the row
-- cannot be read), and whose they are if they may be given back.
local function read_rows(bucket, rows)
  local fields, by_field, settles = bucket.fields, {}, bucket.settles
  local found = call('HMGET', rows, unpack(fields))
  if settles then
    -- Anew, where an item before failed at what is read next.
    bucket.who, bucket.n_who = {}, 0
  end
  for i = 1, bucket.n_fields do
    local row = found[i]
    if row then
      by_field[fields[i]] = row
      if settles and byte(row) == HELD then
        local units = match(row, '^H;([^;]*);[^;]*;') or ''
        bucket.held[fields[i]] = units
        bucket.carts[units] = bucket.carts[units] or units_of(units)
        if bucket.gives_back then
          bucket.n_who = bucket.n_who + 1
          bucket.who[bucket.n_who] = buyer_of(row) or ''
        end
      end
    end
  end
  return by_field
end

local function read_buyers(bucket, buyers)
  local who, by_buyer = bucket.who, {}
  if bucket.n_who > 0 then
    local found = call('HMGET', buyers, unpack(who))
    for i = 1, bucket.n_who do
      if found[i] then
        by_buyer[who[i]] = found[i]
      end
    end
  end
  return by_buyer
end

-- What the bucket knows of its sale, and why nothing is sold now.
local function read_head(bucket, head)
  if not head then
    bucket.why_shut = 'unknown_sale'
    return
  end
  local is_closed, opens, closes, limit, work_max =
    match(head, '^%d+;([01]);(%d*);(%d*);(%d+);(%d+)$')
  if not is_closed then
    error('the head of the bucket cannot be read', 0)
  end
  if is_closed == '1' or closes ~= '' and tonumber(closes) <= now then
    bucket.why_shut = 'closed'
  elseif opens ~= '' and tonumber(opens) > now then
    bucket.why_shut = 'not_open'
  end
  bucket.is_known = true
  bucket.limit, bucket.work_max = limit_of(tonumber(limit)), limit_of(tonumber(work_max))
end

-- The head, the counts, and of each item that is asked for its books by its name.
local function read_books(bucket, books)
  local fields, names, n, items = { '_', 'n' }, {}, 2, {}
  for _, list in pairs(bucket.carts) do
    for i = 1, list.n, 2 do
      if not items[list[i]] then
        n = n + 1
        items[list[i]], names[n], fields[n] = true, list[i], 'i:' .. list[i]
      end
    end
  end
  local found = call('HMGET', books, unpack(fields))
  read_head(bucket, found[1])
  if bucket.is_known then
    bucket.in_work, bucket.orders, bucket.in_transit = unpack_counts(found[2])
  end
  for i = 3, n do
    local item = bucket.is_known and found[i] and unpack_item(found[i]) or nil
    if item then
      item.name = names[i]
    end
    items[names[i]] = item
  end
  return items
end

-- A list of units with the books of the items in the place of their names; `unknown` names the
-- first one that has none.
local function cart_of(list, items)
  local cart = { n = list.n, all = list.all }
  for i = 1, list.n, 2 do
    cart[i], cart[i + 1] = items[list[i]], list[i + 1]
    cart.unknown = cart.unknown or not items[list[i]] and list[i]
  end
  return cart
end

-- Reads all that the call's items asked for.
local function read_bucket(bucket, books, buyers, rows)
  local by_field = read_rows(bucket, rows)
  local by_buyer = read_buyers(bucket, buyers)
  local items, carts = read_books(bucket, books), {}
  for units, list in pairs(bucket.carts) do
    carts[units] = cart_of(list, items)
  end
  bucket.rows, bucket.buyers, bucket.items, bucket.carts = by_field, by_buyer, items, carts
  bucket.new_rows, bucket.n_rows, bucket.new_buyers, bucket.n_buyers = {}, 0, {}, 0
  bucket.gone = {}
end

local function open_bucket(s, books, buyers, rows)
  local bucket = buckets[books]
  if not bucket.items then
    read_bucket(bucket, books, buyers, rows)
  end
  opened[s] = bucket
  return bucket
end

local function put_row(bucket, field, row)
  local rows, n = bucket.new_rows, bucket.n_rows
  rows[n + 1], rows[n + 2] = field, row
  bucket.rows[field], bucket.n_rows = row, n + 2
end

-- '' for a buyer who has nothing any more: no item of such a call gives anybody anything again.
local function put_buyer(bucket, buyer, units)
  if units == '' then
    bucket.buyers[buyer] = nil
    bucket.gone[#bucket.gone + 1] = buyer
  else
    local buyers, n = bucket.new_buyers, bucket.n_buyers
    buyers[n + 1], buyers[n + 2] = buyer, units
    bucket.buyers[buyer], bucket.n_buyers = units, n + 2
  end
end

-- Each change of a bucket has its row.
local function write_bucket(books, buyers, rows)
  local bucket = buckets[books]
  if (bucket.n_rows or 0) == 0 then
    return
  end
  call('HSET', rows, unpack(bucket.new_rows))
  bucket.n_rows = 0
  local fields = { 'n', pack_counts(bucket.in_work, bucket.orders, bucket.in_transit) }
  for name, item in pairs(bucket.items) do
    fields[#fields + 1] = 'i:' .. name
    fields[#fields + 1] = pack_item(item)
  end
  call('HSET', books, unpack(fields))
  if bucket.n_buyers > 0 then
    call('HSET', buyers, unpack(bucket.new_buyers))
  end
  if #bucket.gone > 0 then
    call('HDEL', buyers, unpack(bucket.gone))
  end
end

-- As each_item, for items that share their first keys, n_shared of them, with those next to them:
-- ARGV[n_head] says how many have the first shared keys of the call, how many the next ones, …: one
-- number for each. Their own keys, n_keys each, come after all shared ones. KEYS[s] being the first
-- of the shared keys and ARGV[a] the first argument of the n items that have these, calls
-- ask(s, a, n) for all of them, then one(k, a, s) for each item, then write(s) for all.
local function each_of_buckets(n_shared, n_keys, n_head, n_args, ask, one, write)
  local counts, n_buckets, s, a = {}, 0, 1, n_head + 1
  for digits in gmatch(ARGV[n_head], '%d+') do
    local n = tonumber(digits)
    ask(s, a, n)
    n_buckets = n_buckets + 1
    counts[n_buckets], s, a = n, s + n_shared, a + n * n_args
  end
  local replies, k = { now }, s
  s, a = 1, n_head + 1
  for i = 1, n_buckets do
    local n = counts[i]
    answer_items(replies, n, k, a, n_keys, n_args, one, s)
    s, k, a = s + n_shared, k + n * n_keys, a + n * n_args
  end
  for i = 1, n_buckets do
    write((i - 1) * n_shared + 1)
  end
  return replies
end
