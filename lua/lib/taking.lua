-- What an order and the hold of a branch do alike.

-- Why the buyer cannot take the units, or nil. The buyer's own reservations were looked at before:
-- the last unit is not sold out to whoever has it.
local function refusal(bucket, buyer, units)
  if not bucket.is_known then
    return 'unknown_sale'
  elseif bucket.is_closed then
    return 'closed'
  elseif bucket.is_early then
    return 'not_open'
  end
  local list, items, taken = units_of(units), bucket.items, 0
  for i = 1, #list, 2 do
    if not items['i:' .. list[i]] then
      return { 'unknown_item', list[i] }
    end
    taken = taken + list[i + 1]
  end
  local owns = bucket.buyers[buyer]
  local own_list, own = owns and units_of(owns) or {}, {}
  for i = 1, #own_list, 2 do
    own[own_list[i]] = own_list[i + 1]
    taken = taken + own_list[i + 1]
  end
  for i = 1, #list, 2 do
    local limit = items['i:' .. list[i]].limit
    if limit > 0 and (own[list[i]] or 0) + list[i + 1] > limit then
      return { 'limit_reached', list[i] }
    end
  end
  if bucket.limit > 0 and taken > bucket.limit then
    return { 'limit_reached', '' }
  end
  if bucket.work_max > 0 and bucket.in_work >= bucket.work_max then
    return 'crowded'
  end
  for i = 1, #list, 2 do
    local item = items['i:' .. list[i]]
    if item.available < list[i + 1] or item.reopens > now then
      return { 'sold_out', list[i] }
    end
  end
  return nil
end

-- What a buyer has with these units more.
local function with_more(owns, units)
  if not owns then
    return units
  end
  local texts, more, n_more = {}, units_of(units), {}
  for i = 1, #more, 2 do
    n_more[more[i]] = more[i + 1]
  end
  local list = units_of(owns)
  for i = 1, #list, 2 do
    texts[#texts + 1] = list[i] .. '=' .. integer(list[i + 1] + (n_more[list[i]] or 0))
    n_more[list[i]] = nil
  end
  for i = 1, #more, 2 do
    if n_more[more[i]] then
      texts[#texts + 1] = more[i] .. '=' .. integer(more[i + 1])
    end
  end
  return table.concat(texts, ',')
end

-- Takes the units, which refusal admitted, and answers what was taken and left. Letter: H if they
-- are held, S if they are sold at once.
local function take_units(bucket, field, buyer, units, letter)
  local list, texts = units_of(units), {}
  for i = 1, #list, 2 do
    local item, n = bucket.items['i:' .. list[i]], list[i + 1]
    item.available = item.available - n
    if letter == 'H' then
      item.held = item.held + n
    else
      item.sold = item.sold + n
    end
    item.takes = item.takes + 1
    item.is_changed = true
    texts[#texts + 1] = list[i] .. '=' .. integer(n) .. '=' .. integer(item.available)
  end
  local taken = #texts == 1 and texts[1] or table.concat(texts, ',')
  put_row(bucket, field, letter .. ';' .. taken .. ';' .. buyer)
  put_buyer(bucket, buyer, with_more(bucket.buyers[buyer], units))
  return taken
end

-- Whether the units of a row are these, in whatever order.
local function are_same(taken, units)
  local stored = units_taken(taken)
  if stored == units then
    return true
  end
  local list, n_of = units_of(stored), {}
  local others = units_of(units)
  for i = 1, #list, 2 do
    n_of[list[i]] = list[i + 1]
  end
  for i = 1, #others, 2 do
    if n_of[others[i]] ~= others[i + 1] then
      return false
    end
  end
  return #list == #others
end
