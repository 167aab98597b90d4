-- How reservations end.

-- The row that is held under this field, taken apart: its units and its buyer; nil if it is not
-- held. Fails where the books do not have what the row says, before anything is written.
local function held_row(bucket, field)
  local row = bucket.rows[field]
  local letter, taken, buyer = unpack_row(row or 'R;;')
  if letter ~= 'H' then
    return nil
  end
  local own, units = {}, units_of(units_taken(taken))
  local owns = units_of(bucket.buyers[buyer] or '')
  for i = 1, #owns, 2 do
    own[owns[i]] = owns[i + 1]
  end
  for i = 1, #units, 2 do
    local item = bucket.items['i:' .. units[i]]
    if not item or item.held < units[i + 1] or (own[units[i]] or 0) < units[i + 1] then
      error('the books do not have what the row of a reservation says', 0)
    end
  end
  return taken, buyer
end

-- What a buyer has with these units less; '' for nothing.
local function with_less(owns, units)
  local texts, n_less = {}, {}
  for i = 1, #units, 2 do
    n_less[units[i]] = units[i + 1]
  end
  local list = units_of(owns)
  for i = 1, #list, 2 do
    local left = list[i + 1] - (n_less[list[i]] or 0)
    if left > 0 then
      texts[#texts + 1] = list[i] .. '=' .. integer(left)
    end
  end
  return table.concat(texts, ',')
end

-- Ends what held_row answered: letter S sells, R gives back.
local function settle_row(bucket, field, taken, buyer, letter)
  local units = units_of(units_taken(taken))
  for i = 1, #units, 2 do
    local item, n = bucket.items['i:' .. units[i]], units[i + 1]
    item.held = item.held - n
    if letter == 'S' then
      item.sold = item.sold + n
    else
      put_back(item, n)
    end
    item.is_changed = true
  end
  if letter == 'R' then
    put_buyer(bucket, buyer, with_less(bucket.buyers[buyer], units))
  end
  put_row(bucket, field, letter .. ';' .. taken .. ';' .. buyer)
  if string.byte(field) == 111 then -- o, an order's
    bucket.in_work = math.max(bucket.in_work - 1, 0)
  end
end
