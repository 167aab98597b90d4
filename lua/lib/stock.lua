-- The buckets that a call works on. What its items need of a bucket is read when the first of them
-- comes to it, kept in tables in between, where one item sees what those before it did, and written
-- once at the end. All that can fail by a key of another type is read first, so that these writes
-- cannot. A bucket goes by the key of its books.

local find, gmatch, match = string.find, string.gmatch, string.match

local buckets = {}
-- How many keys wait for their writes.
local n_unwritten = 0

-- Lists of units are texts `<item>=<units>,…`. Each is taken apart once a call: items and units by
-- turns, n of both; also by item, in all, and `<item>=<units>=` as text.
local lists = {}

local function units_of(text)
  local list = lists[text]
  if list then
    return list
  end
  local n, all, by_item, texts = 0, 0, {}, {}
  list = {}
  for item, digits in gmatch(text, '([^=,]+)=(%d+)') do
    local units = tonumber(digits)
    list[n + 1], list[n + 2] = item, units
    texts[n + 1] = item .. '=' .. digits .. '='
    n, all, by_item[item] = n + 2, all + units, units
  end
  list.n, list.all, list.by_item, list.texts = n, all, by_item, texts
  lists[text] = list
  return list
end

local function ask_items(bucket, units)
  local list = units_of(units)
  for i = 1, list.n, 2 do
    if not bucket.is_asked[list[i]] then
      bucket.is_asked[list[i]] = true
      bucket.asked[#bucket.asked + 1] = list[i]
    end
  end
end

-- Notes what an item of the call will need: its row, and, where it may take units, its buyer and
-- the units that it takes.
local function ask_bucket(books, row, buyer, units)
  local bucket = buckets[books]
  if not bucket then
    bucket = {
      fields = {}, n_fields = 0, who = {}, n_who = 0, asked = {}, is_asked = {}, has_asked = {},
    }
    buckets[books] = bucket
  end
  local n_fields = bucket.n_fields + 1
  bucket.fields[n_fields], bucket.n_fields = row, n_fields
  if buyer then
    local n_who = bucket.n_who + 1
    bucket.who[n_who], bucket.n_who = buyer, n_who
    if not bucket.has_asked[units] then
      bucket.has_asked[units] = true
      ask_items(bucket, units)
    end
  end
end

-- Rows are `<letter>;<item>=<units>=<left after>,…;<buyer>`: H held, S sold, R released.
local function unpack_row(text)
  local letter, taken, buyer = match(text, '^([HSR]);([^;]*);(.*)$')
  if not letter then
    error('the row of a reservation cannot be read', 0)
  end
  return letter, taken, buyer
end

-- The units of a row, without what was left.
local function units_taken(taken)
  return (string.gsub(taken, '=(%d+)=%d+', '=%1'))
end

local function read_rows(bucket, rows)
  local fields, by_field = bucket.fields, {}
  local found = call('HMGET', rows, unpack(fields))
  for i = 1, bucket.n_fields do
    local row = found[i]
    by_field[fields[i]] = row
    if row and find(row, 'H', 1, true) == 1 then
      -- Whose it is, and what it may give back.
      local taken, buyer = match(row, '^H;([^;]*);(.*)$')
      bucket.n_who = bucket.n_who + 1
      bucket.who[bucket.n_who] = buyer or ''
      ask_items(bucket, units_taken(taken or ''))
    end
  end
  return by_field
end

local function read_buyers(bucket, buyers)
  local who, by_buyer = bucket.who, {}
  if bucket.n_who > 0 then
    local found = call('HMGET', buyers, unpack(who))
    for i = 1, bucket.n_who do
      by_buyer[who[i]] = found[i]
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
  if n_rows == 0 then
    n_unwritten = n_unwritten + 1
  end
  bucket.rows[field] = row
  bucket.new_rows[n_rows + 1], bucket.new_rows[n_rows + 2] = field, row
  bucket.n_rows = n_rows + 2
end

-- '' for a buyer who has nothing any more: no item of such a call gives anybody anything again.
local function put_buyer(bucket, buyer, units)
  if units == '' then
    bucket.buyers[buyer] = false
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
  n_unwritten = n_unwritten - 1
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

-- As each_item, between ask(k, a) of all items and write(k) of as many as there is something to
-- write for.
local function each_of_buckets(n_keys, n_head, n_args, ask, one, write)
  local n_items = (#ARGV - n_head) / n_args
  for i = 0, n_items - 1 do
    ask(i * n_keys + 1, n_head + i * n_args + 1)
  end
  local replies = each_item(n_keys, n_head, n_args, one)
  for i = 0, n_items - 1 do
    if n_unwritten == 0 then
      break
    end
    write(i * n_keys + 1)
  end
  return replies
end
