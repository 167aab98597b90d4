-- How reservations end.

-- The row that is held under this field, taken apart: its units and its buyer; nil if it is not
-- held. Fails where the books do not have what the row says, before anything is written.
local function held_row(bucket, field)
  local row = bucket.rows[field]
  local letter, taken, buyer = unpack_row(row or 'R;;')
  if letter ~= 'H' then
    return nil
  end
  local own = units_of(bucket.buyers[buyer] or '').by_item
  local list = units_of(units_taken(taken))
  for i = 1, list.n, 2 do
    local item = bucket.items[list[i]]
    if not item or item.held < list[i + 1] or (own[list[i]] or 0) < list[i + 1] then
      error('the books do not have what the row of a reservation says', 0)
    end
  end
  return taken, buyer
end

-- What a buyer has with these units less; '' for nothing.
local function with_less(owns, list)
  local texts, own = {}, units_of(owns)
  for i = 1, own.n, 2 do
    local left = own[i + 1] - (list.by_item[own[i]] or 0)
    if left > 0 then
      texts[#texts + 1] = own[i] .. '=' .. integer(left)
    end
  end
  return table.concat(texts, ',')
end

-- Ends what held_row answered: letter S sells, R gives back.
local function settle_row(bucket, field, taken, buyer, letter)
  local list = units_of(units_taken(taken))
  for i = 1, list.n, 2 do
    local item, n = bucket.items[list[i]], list[i + 1]
    item.held = item.held - n
    if letter == 'S' then
      item.sold = item.sold + n
    else
      put_back(item, n)
    end
    item.is_changed = true
  end
  if letter == 'R' then
    put_buyer(bucket, buyer, with_less(bucket.buyers[buyer], list))
  end
  put_row(bucket, field, letter .. ';' .. taken .. ';' .. buyer)
  if string.byte(field) == 111 then -- o, an order's
    bucket.in_work = math.max(bucket.in_work - 1, 0)
  end
end
