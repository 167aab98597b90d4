-- The buckets that a call works on. What its items need of a bucket is read when the first of them
-- comes to it, kept in tables in between, where one item sees what those before it did, and written
-- once at the end. All that can fail by a key of another type is read first, so that these writes
-- cannot. A bucket goes by the key of its books.

local byte, gmatch, match = string.byte, string.gmatch, string.match

local HELD = byte('H')

local buckets = {}

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

local function ask_items(bucket, units)
  if bucket.has_asked[units] then
    return
  end
  bucket.has_asked[units] = true
  local list = units_of(units)
  for i = 1, list.n, 2 do
    if not bucket.is_asked[list[i]] then
      bucket.is_asked[list[i]] = true
      bucket.asked[#bucket.asked + 1] = list[i]
    end
  end
end

local function bucket_at(books)
  local bucket = buckets[books]
  if not bucket then
    bucket = {
      fields = {}, n_fields = 0, who = {}, n_who = 0, asked = {}, is_asked = {}, has_asked = {},
    }
    buckets[books] = bucket
  end
  return bucket
end

-- Notes what an item of the call will need that may take units: its row, its buyer, and the items
-- that it takes.
local function ask_to_take(books, row, buyer, units)
  local bucket = bucket_at(books)
  local n = bucket.n_fields + 1
  bucket.fields[n], bucket.n_fields = row, n
  bucket.who[n], bucket.n_who = buyer, n
  ask_items(bucket, units)
end

-- The same of one that may end what its row holds: its row, and what that says. Selling leaves a
-- buyer what he has, so his own is asked for where the units are given back.
local function ask_to_settle(books, row, gives_back)
  local bucket = bucket_at(books)
  local n = bucket.n_fields + 1
  bucket.fields[n], bucket.n_fields = row, n
  bucket.settles = true
  bucket.gives_back = bucket.gives_back or gives_back
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

-- Those that there are.
local function read_rows(bucket, rows)
  local fields, by_field = bucket.fields, {}
  local found = call('HMGET', rows, unpack(fields))
  for i = 1, bucket.n_fields do
    local row = found[i]
    if row then
      by_field[fields[i]] = row
      if bucket.settles and byte(row) == HELD then
        ask_items(bucket, match(row, '^H;([^;]*)') or '')
        if bucket.gives_back then
          bucket.n_who = bucket.n_who + 1
          bucket.who[bucket.n_who] = match(row, '^H;[^;]*;[^;]*;(.*)$') or ''
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
      by_buyer[who[i]] = found[i] or nil
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

-- The bucket, with all that the call's items asked for.
local function bucket_of(books, buyers, rows)
  local bucket = buckets[books]
  if bucket.items then
    return bucket
  end
  local by_field = read_rows(bucket, rows)
  local by_buyer = read_buyers(bucket, buyers)
  local asked, names, items = bucket.asked, { '_', 'n' }, {}
  for i = 1, #asked do
    names[i + 2] = 'i:' .. asked[i]
  end
  local found = call('HMGET', books, unpack(names))
  read_head(bucket, found[1])
  if bucket.is_known then
    bucket.in_work, bucket.orders, bucket.in_transit = unpack_counts(found[2])
    for i = 1, #asked do
      items[asked[i]] = found[i + 2] and unpack_item(found[i + 2])
    end
  end
  bucket.rows, bucket.buyers, bucket.items = by_field, by_buyer, items
  bucket.new_rows, bucket.n_rows, bucket.new_buyers, bucket.n_buyers = {}, 0, {}, 0
  bucket.gone = {}
  return bucket
end

local function put_row(bucket, field, row)
  local n_rows = bucket.n_rows
  bucket.rows[field] = row
  bucket.new_rows[n_rows + 1], bucket.new_rows[n_rows + 2] = field, row
  bucket.n_rows = n_rows + 2
end

-- '' for a buyer who has nothing any more: no item of such a call gives anybody anything again.
local function put_buyer(bucket, buyer, units)
  if units == '' then
    bucket.buyers[buyer] = nil
    bucket.gone[#bucket.gone + 1] = buyer
  else
    local n_buyers = bucket.n_buyers
    bucket.buyers[buyer] = units
    bucket.new_buyers[n_buyers + 1], bucket.new_buyers[n_buyers + 2] = buyer, units
    bucket.n_buyers = n_buyers + 2
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
    if item and item.is_changed then
      fields[#fields + 1] = 'i:' .. name
      fields[#fields + 1] = pack_item(item)
    end
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
-- number for each. Their own keys, n_keys each, come after all shared ones. Calls ask(s, a) for all
-- items, one(k, a, s) for each, and write(s) for each of the shared: KEYS[s] is the first of these.
local function each_of_buckets(n_shared, n_keys, n_head, n_args, ask, one, write)
  local shared, s, a = {}, 1, n_head + 1
  for n_items in gmatch(ARGV[n_head], '%d+') do
    for _ = 1, tonumber(n_items) do
      ask(s, a)
      shared[a], a = s, a + n_args
    end
    s = s + n_shared
  end
  local n_before = s - 1
  local function one_of_bucket(k, place)
    return one(n_before + k, place, shared[place])
  end
  local replies = each_item(n_keys, n_head, n_args, one_of_bucket)
  for first = 1, n_before, n_shared do
    write(first)
  end
  return replies
end
