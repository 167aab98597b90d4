-- What an order and the hold of a branch do alike.

-- Why the buyer cannot take the units, or nil. A word, perhaps with the item behind a blank: Redis
-- looks for many names in a table before it takes it for a list. The buyer's own reservations were
-- looked at before: the last unit is not sold out to whoever has it.
local function refusal(bucket, buyer, units)
  if bucket.why_shut then
    return bucket.why_shut
  end
  local cart, owns, sold_out = bucket.carts[units], bucket.buyers[buyer], nil
  if cart.unknown then
    return 'unknown_item ' .. cart.unknown
  end
  local own = owns and units_of(owns)
  for i = 1, cart.n, 2 do
    local item, n = cart[i], cart[i + 1]
    if (own and own.by_item[item.name] or 0) + n > item.limit then
      return 'limit_reached ' .. item.name
    end
    if item.available < n or item.reopens > now then
      sold_out = sold_out or 'sold_out ' .. item.name
    end
  end
  if (own and own.all or 0) + cart.all > bucket.limit then
    return 'limit_reached'
  end
  if bucket.in_work >= bucket.work_max then
    return 'crowded'
  end
  return sold_out
end

-- What a buyer has with these units more.
local function with_more(owns, units)
  local texts, own, more = {}, units_of(owns), units_of(units)
  for i = 1, own.n, 2 do
    local n = own[i + 1] + (more.by_item[own[i]] or 0)
    texts[#texts + 1] = own[i] .. '=' .. integer(n)
  end
  for i = 1, more.n, 2 do
    if not own.by_item[more[i]] then
      texts[#texts + 1] = more[i] .. '=' .. integer(more[i + 1])
    end
  end
  return table.concat(texts, ',')
end

-- How many late takers a bucket keeps: who take units of an item of which some came back.
local LATE_MAX = 4096

-- Where an item that is asked for came back: the late takers of this call, none yet, and how many
-- there were before. The list is looked at, so that a key of another type fails now. Else false.
local function late_of(items, books, late)
  for _, item in pairs(items) do
    if item.reopens > 0 then
      call('LLEN', late)
      return { n_before = tonumber(call('HGET', books, 'l') or 0) }
    end
  end
  return false
end

-- As open_bucket, for items that may take units.
local function open_to_take(s, books, buyers, rows, late)
  local bucket = open_bucket(s, books, buyers, rows)
  if bucket.late == nil then
    -- Whoever comes after one that fails here opens it anew.
    opened[s] = nil
    bucket.late = late_of(bucket.items, books, late)
    opened[s] = bucket
  end
  return bucket
end

local function write_late(books, late)
  local takers = buckets[books].late
  if takers and #takers > 0 then
    call('HSET', books, 'l', integer(takers.n_before + #takers))
    call('RPUSH', late, unpack(takers))
    call('LTRIM', late, -LATE_MAX, -1)
    buckets[books].late = { n_before = takers.n_before + #takers }
  end
end

-- Whether units of one of its items came back at some time.
local function is_late(cart)
  for i = 1, cart.n, 2 do
    if cart[i].reopens > 0 then
      return true
    end
  end
  return false
end

-- Takes the units, which refusal admitted. Counts them as `kind`: held, or sold at once.
local function take_units(bucket, buyer, units, kind)
  local cart, owns = bucket.carts[units], bucket.buyers[buyer]
  for i = 1, cart.n, 2 do
    local item, n = cart[i], cart[i + 1]
    item.available, item[kind], item.takes = item.available - n, item[kind] + n, item.takes + 1
  end
  put_buyer(bucket, buyer, owns and with_more(owns, units) or units)
  local late = bucket.late
  if late and is_late(cart) then
    late[#late + 1] = buyer
  end
end

-- How many there are of each of these items now: `<available>,…`.
local function what_is_left(bucket, units)
  local cart = bucket.carts[units]
  local text = integer(cart[1].available)
  for i = 3, cart.n, 2 do
    text = text .. ',' .. integer(cart[i].available)
  end
  return text
end

-- Whether the units of a row are these, in whatever order.
local function are_same(row_units, units)
  local stored, asked = units_of(row_units), units_of(units)
  if stored.n ~= asked.n then
    return false
  end
  for i = 1, asked.n, 2 do
    if stored.by_item[asked[i]] ~= asked[i + 1] then
      return false
    end
  end
  return true
end
