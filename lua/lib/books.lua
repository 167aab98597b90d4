-- A bucket's books, as its hash has them. Times are in µs, '' or 0 where there is none; a limit of
-- 0 is none. At every instant supply = available + held + sold.
--   _         what it knows of its sale:
--             `<version>;<1 if closed, else 0>;<opens at>;<closes at>;<limit>;<most in work>`
--   n         `<orders in work>;<orders accepted>;<transfers given and not acknowledged>`
--   i:<item>  `<share>;<supply>;<available>;<held>;<sold>;<limit>;<reopens at>;<takes>`;
--             takes: how many times units were taken, or went to another bucket or came from one
--   l         how many takes were late: of units that had come back (absent for 0)
--
-- Who takes late is put to a list besides, which keeps the last of them: so a node that knows who
-- had units when there were none left need not read all reservations again.

-- After units came back where none were left, nobody takes them for so long, in µs: by then each
-- node that says "sold out" from memory has looked again.
local REOPENS_AFTER_US = 500000

local function unpack_counts(text)
  local in_work, orders, in_transit = string.match(text or '', '^(%d+);(%d+);(%d+)$')
  if not in_work then
    error('the counts of the bucket cannot be read', 0)
  end
  return tonumber(in_work), tonumber(orders), tonumber(in_transit)
end

local function pack_counts(in_work, orders, in_transit)
  return integer(in_work) .. ';' .. integer(orders) .. ';' .. integer(in_transit)
end

-- A limit that is none is above all numbers.
local function limit_of(number)
  return number > 0 and number or math.huge
end

local function unpack_item(text)
  local share, supply, available, held, sold, limit, reopens, takes =
    string.match(text, '^(%d+);(%d+);(%d+);(%d+);(%d+);(%d+);(%d+);(%d+)$')
  if not share then
    error('the books of an item cannot be read', 0)
  end
  return {
    share = share, supply = tonumber(supply), available = tonumber(available),
    held = tonumber(held), sold = tonumber(sold), limit = limit_of(tonumber(limit)),
    limit_text = limit, reopens = tonumber(reopens), takes = tonumber(takes),
  }
end

local function pack_item(item)
  return item.share .. ';' .. integer(item.supply) .. ';' .. integer(item.available) .. ';'
    .. integer(item.held) .. ';' .. integer(item.sold) .. ';' .. item.limit_text .. ';'
    .. integer(item.reopens) .. ';' .. integer(item.takes)
end

-- Units that are there again, for whoever comes after those that nodes turn away from memory.
local function put_back(item, units)
  if item.available == 0 then
    item.reopens = now + REOPENS_AFTER_US
  end
  item.available = item.available + units
end

-- All books of a bucket, each field and its text: a definition bounds how many these are.
local function all_books(books)
  return call('HGETALL', books)
end
