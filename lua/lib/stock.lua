-- The buckets that a call works on. What its items need of a bucket is read when the first of them
-- comes to it, kept in tables in between, where one item sees what those before it did, and written
-- once at the end. All that can fail by a key of another type is read first, so that these writes
-- cannot. A bucket goes by the key of its books.

local buckets = {}
-- How many keys wait for their writes.
local n_unwritten = 0

-- Lists of units are texts `<item>=<units>,…`; each is taken apart once a call.
local lists = {}

local function units_of(text)
  local list = lists[text]
  if not list then
    list = {}
    for item, units in string.gmatch(text, '([^=,]+)=(%d+)') do
      list[#list + 1] = item
      list[#list + 1] = tonumber(units)
    end
    lists[text] = list
  end
  return list
end

local function ask_item(bucket, item)
  local name = 'i:' .. item
  if not bucket.is_asked[name] then
    bucket.is_asked[name] = true
    bucket.names[#bucket.names + 1] = name
  end
end

-- Notes what an item of the call will need: its row, and, where it may take units, its buyer and
-- the units that it takes.
local function ask_bucket(books, row, buyer, units)
  local bucket = buckets[books]
  if not bucket then
    bucket = { fields = {}, who = {}, names = { '_', 'n' }, is_asked = {} }
    buckets[books] = bucket
  end
  bucket.fields[#bucket.fields + 1] = row
  if buyer then
    bucket.who[#bucket.who + 1] = buyer
    if not bucket.is_asked[units] then
      bucket.is_asked[units] = true
      for i = 1, #units_of(units), 2 do
        ask_item(bucket, units_of(units)[i])
      end
    end
  end
end

-- Rows are `<letter>;<item>=<units>=<left after>,…;<buyer>`: H held, S sold, R released.
local function unpack_row(text)
  local letter, taken, buyer = string.match(text, '^([HSR]);([^;]*);(.*)$')
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
  local found, by_field = call('HMGET', rows, unpack(bucket.fields)), {}
  for i, field in ipairs(bucket.fields) do
    local row = found[i]
    by_field[field] = row
    if row then
      -- Whose it is, and what it may give back.
      local taken, buyer = string.match(row, '^H;([^;]*);(.*)$')
      if taken then
        bucket.who[#bucket.who + 1] = buyer
        for item in string.gmatch(taken, '([^=,]+)=%d+=') do
          ask_item(bucket, item)
        end
      end
    end
  end
  return by_field
end

local function read_buyers(bucket, buyers)
  local by_buyer = {}
  if #bucket.who > 0 then
    local found = call('HMGET', buyers, unpack(bucket.who))
    for i, buyer in ipairs(bucket.who) do
      by_buyer[buyer] = found[i]
    end
  end
  return by_buyer
end

local function read_head(bucket, head)
  local is_closed, opens, closes, limit, work_max =
    string.match(head, '^%d+;([01]);(%d*);(%d*);(%d+);(%d+)$')
  if not is_closed then
    error('the head of the bucket cannot be read', 0)
  end
  bucket.is_closed = is_closed == '1' or closes ~= '' and tonumber(closes) <= now
  bucket.is_early = opens ~= '' and tonumber(opens) > now
  bucket.limit, bucket.work_max = tonumber(limit), tonumber(work_max)
end

-- The bucket, with all that the call's items asked for. One whose sale is unknown has no items.
local function bucket_of(books, buyers, rows)
  local bucket = buckets[books]
  if bucket.items then
    return bucket
  end
  local by_field = read_rows(bucket, rows)
  local by_buyer = read_buyers(bucket, buyers)
  local found, items = call('HMGET', books, unpack(bucket.names)), {}
  if found[1] then
    read_head(bucket, found[1])
    bucket.in_work, bucket.orders, bucket.in_transit = unpack_counts(found[2])
    for i = 3, #bucket.names do
      items[bucket.names[i]] = found[i] and unpack_item(found[i])
    end
  end
  bucket.is_known = found[1]
  bucket.rows, bucket.buyers, bucket.items = by_field, by_buyer, items
  bucket.new_rows, bucket.new_buyers = {}, {}
  return bucket
end

local function mark_changed(bucket)
  if not bucket.is_changed then
    bucket.is_changed = true
    n_unwritten = n_unwritten + 1
  end
end

local function put_row(bucket, field, row)
  mark_changed(bucket)
  bucket.rows[field] = row
  bucket.new_rows[#bucket.new_rows + 1] = field
  bucket.new_rows[#bucket.new_rows + 1] = row
end

-- '' for a buyer who has nothing any more.
local function put_buyer(bucket, buyer, units)
  bucket.buyers[buyer] = units ~= '' and units
  bucket.new_buyers[buyer] = units
end

local function write_bucket(books, buyers, rows)
  local bucket = buckets[books]
  if not bucket.is_changed then
    return
  end
  bucket.is_changed = nil
  n_unwritten = n_unwritten - 1
  local fields, puts, gone = {}, {}, {}
  if bucket.is_known then
    fields = { 'n', pack_counts(bucket.in_work, bucket.orders, bucket.in_transit) }
    for name, item in pairs(bucket.items) do
      if item and item.is_changed then
        fields[#fields + 1] = name
        fields[#fields + 1] = pack_item(item)
      end
    end
    call('HSET', books, unpack(fields))
  end
  call('HSET', rows, unpack(bucket.new_rows))
  for buyer, units in pairs(bucket.new_buyers) do
    if units == '' then
      gone[#gone + 1] = buyer
    else
      puts[#puts + 1] = buyer
      puts[#puts + 1] = units
    end
  end
  if #puts > 0 then
    call('HSET', buyers, unpack(puts))
  end
  if #gone > 0 then
    call('HDEL', buyers, unpack(gone))
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
