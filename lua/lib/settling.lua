-- How reservations end.

-- With which the field of an order's row begins.
local ORDER = byte('o')

-- The units that are held under this field; nil if none are. Fails where the row cannot be read or
-- the books do not have what it says, before anything is written: of the buyer only where he gives
-- them back, since what is sold stays his.
local function held_units(bucket, field, gives_back)
  local units = bucket.held[field]
  if not units then
    if bucket.rows[field] then
      unpack_row(bucket.rows[field])
    end
    return nil
  end
  local cart, own = bucket.carts[units], nil
  if cart.n == 0 then
    -- All that is held has units.
    error('the row of a reservation cannot be read', 0)
  end
  if gives_back then
    own = units_of(bucket.buyers[buyer_of(bucket.rows[field])] or '').by_item
  end
  for i = 1, cart.n, 2 do
    local item, n = cart[i], cart[i + 1]
    if not item or item.held < n or own and (own[item.name] or 0) < n then
      error('the books do not have what the row of a reservation says', 0)
    end
  end
  return units
end

-- What a buyer has with these units less; '' for nothing.
local function with_less(owns, units)
  local texts, own, list = {}, units_of(owns), units_of(units)
  for i = 1, own.n, 2 do
    local left = own[i + 1] - (list.by_item[own[i]] or 0)
    if left > 0 then
      texts[#texts + 1] = own[i] .. '=' .. integer(left)
    end
  end
  return table.concat(texts, ',')
end

-- Ends what held_units answered: letter S sells, R gives back.
local function settle_row(bucket, field, units, letter)
  local cart, row = bucket.carts[units], bucket.rows[field]
  for i = 1, cart.n, 2 do
    local item, n = cart[i], cart[i + 1]
    item.held = item.held - n
    if letter == 'S' then
      item.sold = item.sold + n
    else
      put_back(item, n)
    end
  end
  if letter == 'R' then
    local buyer = buyer_of(row)
    put_buyer(bucket, buyer, with_less(bucket.buyers[buyer], units))
  end
  put_row(bucket, field, letter .. string.sub(row, 2))
  bucket.held[field] = nil
  if byte(field) == ORDER and bucket.in_work > 0 then
    bucket.in_work = bucket.in_work - 1
  end
end
