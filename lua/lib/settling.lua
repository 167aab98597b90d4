-- How reservations end.

-- The row that is held under this field, and the list of its units; nil if it is not held. Fails
-- where the books do not have what it says, before anything is written.
local function held_row(bucket, field, gives_back)
  local row = bucket.rows[field]
  if not row then
    return nil
  end
  local letter, units, _, buyer = unpack_row(row)
  if letter ~= 'H' then
    return nil
  end
  local list = units_of(units)
  local own = gives_back and units_of(bucket.buyers[buyer] or '').by_item
  for i = 1, list.n, 2 do
    local item, n = bucket.items[list[i]], list[i + 1]
    if not item or item.held < n or own and (own[list[i]] or 0) < n then
      error('the books do not have what the row of a reservation says', 0)
    end
  end
  return row, list, buyer
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
local function settle_row(bucket, field, row, list, buyer, letter)
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
  put_row(bucket, field, letter .. string.sub(row, 2))
  if byte(field) == 111 then -- o, an order's
    bucket.in_work = math.max(bucket.in_work - 1, 0)
  end
end
