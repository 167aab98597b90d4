-- What an order and the hold of a branch do alike.

-- Why the buyer cannot take the units, or nil. A word, perhaps with the item behind a blank: Redis
-- looks for many names in a table before it takes it for a list. The buyer's own reservations were
-- looked at before: the last unit is not sold out to whoever has it.
local function refusal(bucket, buyer, units)
  if bucket.why_shut then
    return bucket.why_shut
  end
  local list, items, owns = units_of(units), bucket.items, bucket.buyers[buyer]
  local own = owns and units_of(owns)
  local n = list.n
  for i = 1, n, 2 do
    if not items[list[i]] then
      return 'unknown_item ' .. list[i]
    end
  end
  for i = 1, n, 2 do
    if (own and own.by_item[list[i]] or 0) + list[i + 1] > items[list[i]].limit then
      return 'limit_reached ' .. list[i]
    end
  end
  if (own and own.all or 0) + list.all > bucket.limit then
    return 'limit_reached'
  end
  if bucket.in_work >= bucket.work_max then
    return 'crowded'
  end
  for i = 1, n, 2 do
    local item = items[list[i]]
    if item.available < list[i + 1] or item.reopens > now then
      return 'sold_out ' .. list[i]
    end
  end
  return nil
end

-- What a buyer has with these units more.
local function with_more(owns, units)
  if not owns then
    return units
  end
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

-- Takes the units, which refusal admitted. Letter: H if they are held, S if they are sold at once.
local function take_units(bucket, buyer, units, letter)
  local list = units_of(units)
  for i = 1, list.n, 2 do
    local item, n = bucket.items[list[i]], list[i + 1]
    item.available = item.available - n
    if letter == 'H' then
      item.held = item.held + n
    else
      item.sold = item.sold + n
    end
    item.takes = item.takes + 1
    item.is_changed = true
  end
  put_buyer(bucket, buyer, with_more(bucket.buyers[buyer], units))
end

-- How many there are of each of these items now: `<available>,…`.
local function what_is_left(bucket, units)
  local list = units_of(units)
  local text = integer(bucket.items[list[1]].available)
  for i = 3, list.n, 2 do
    text = text .. ',' .. integer(bucket.items[list[i]].available)
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
