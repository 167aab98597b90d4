#!lua
-- define: tells a bucket what it is to know of its sale. Shares only rise, and what they rise by
-- can be taken.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:f:<sale>  the bucket's books, hash
-- ARGV, for each item:
--   [1] the definition's version
--   [2] `<1 if closed, else 0>;<opens at>;<closes at>;<limit>;<most in work>`
--   [3] `<item>=<share>=<limit>,…`
--
-- Returns now in µs, then for each item one of
--   done              it knows this definition, or knew a newer one
--   { error, text }   nothing was written
--
-- One script: of two nodes that bring definitions the newer one stays, and a share is added once.

-- The item with another share and limit; of a new one the books are opened. Both are texts.
local function with_share(stored, share, limit)
  local text = stored or '0;0;0;0;0;0;0;0'
  local item = unpack_item(text)
  local more = tonumber(share) - tonumber(item.share)
  if more < 0 then
    error('the share of an item would fall', 0)
  elseif stored and more > 0 then
    put_back(item, more)
  else
    item.available = item.available + more
  end
  item.supply = item.supply + more
  item.share, item.limit_text = share, limit
  return item
end

local function define(k, a)
  local books = KEYS[k]
  local version, head, items = ARGV[a], ARGV[a + 1], ARGV[a + 2]

  local names, shares, limits = { '_', 'n' }, {}, {}
  for item, share, limit in string.gmatch(items, '([^=,]+)=(%d+)=(%d+)') do
    names[#names + 1] = 'i:' .. item
    shares[#names], limits[#names] = share, limit
  end
  local stored = call('HMGET', books, unpack(names))
  if stored[1] then
    local known = string.match(stored[1], '^(%d+);')
    if not known then
      error('the head of the bucket cannot be read', 0)
    elseif tonumber(known) >= tonumber(version) then
      return 'done'
    end
  end
  local fields = { '_', version .. ';' .. head, 'n', stored[2] or pack_counts(0, 0, 0) }
  for i = 3, #names do
    fields[#fields + 1] = names[i]
    fields[#fields + 1] = pack_item(with_share(stored[i], shares[i], limits[i]))
  end
  call('HSET', books, unpack(fields))
  return 'done'
end

return each_item(1, 0, 3, define)
