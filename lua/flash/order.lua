#!lua
-- order: takes the units of an order and stores the order as a transaction, or does neither.
--
-- KEYS, for each item, all of one shard:
--   [1] tandem:{TAG}:f:<sale>   the bucket's books, hash
--   [2] tandem:{TAG}:fb:<sale>  its buyers, hash
--   [3] tandem:{TAG}:fr:<sale>  its reservations, hash
--   [4] tandem:{TAG}:g:<gid>    the transaction, hash
--   [5] tandem:{TAG}:due        due times of the shard, sorted set; but of an order that is stored
--                               as ended tandem:{TAG}:fin:<minute>, gids that ended then, list
-- and, after all items' keys, for each item with a large body:
--   tandem:{TAG}:s:<request>    the staged body, string
--   tandem:{TAG}:b:<gid>        the body, string
-- ARGV:
--   [1] retention of ended ones, in ms
-- and for each item:
--   [1] gid
--   [2] `o<order>`, the row's field
--   [3] buyer
--   [4] `<item>=<units>,…`
--   [5] id of this request, and token of the hold
--   [6] mode letter, small if the body is large
--   [7] first lease in µs if this request is to hold it, else ''
--   [8] status letter, S or C
--   [9] rest of the packed state
--   [10] body, '' when it is large
--   [11] the place of its first further key, or 0
--
-- Returns now in µs, then for each item one of
--   { taken, units }, { taken_held, units }
--                     stored now; held says: by this request. Units: `<item>=<units>=<left>,…`
--   { taken, units, created at }, { taken_held, units, created at }
--                     an earlier copy of this request stored it
--   { again, units }  an earlier request of the same order, buyer and units stored it
--   other_buyer       the order is another buyer's
--   other_cart        the buyer's order has other units
--   unknown_sale, closed, not_open, { unknown_item, item }, crowded, { sold_out, item }
--   { limit_reached, item }
--                     of this item, or ('') of the sale
--   restage           the staged body is gone; nothing was written
--   { error, text }   nothing was written
--
-- One script: what is taken is taken for a transaction that is stored, and of two copies of an
-- order one finds the other one's row.

-- What becomes of the keys that many orders share: due times and lists of ended ones.
local due_times, lists_of_ended = {}, {}

local function ask(k, a)
  local books = KEYS[k]
  ask_bucket(books, ARGV[a + 1], ARGV[a + 2], ARGV[a + 3])
end

-- The answer where the order has its row.
local function earlier(row, hash, buyer, units, request)
  local _, taken, stored_buyer = unpack_row(row)
  if stored_buyer ~= buyer then
    return 'other_buyer'
  end
  local stored = call('HMGET', hash, 's', 'c')
  if stored[1] then
    local _, _, _, token, last_request = unpack_state(stored[1])
    if last_request == request then
      return { token == request and 'taken_held' or 'taken', taken, stored[2] }
    end
  end
  return are_same(taken, units) and { 'again', taken } or 'other_cart'
end

local function order(k, a)
  local books, buyers, rows, hash = KEYS[k], KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
  local due, ended = KEYS[k + 4], KEYS[k + 4]
  local field, buyer, units, request = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local bucket = bucket_of(books, buyers, rows)
  local row = bucket.rows[field]
  if row then
    return earlier(row, hash, buyer, units, request)
  end
  local why_not = refusal(bucket, buyer, units)
  if why_not then
    return why_not
  end

  local mode, lease_us, status, body = ARGV[a + 5], ARGV[a + 6], ARGV[a + 7], ARGV[a + 9]
  local has_large_body, has_ended = is_large(mode), is_final(status)
  local x = has_large_body and tonumber(ARGV[a + 10]) or 0
  local staged, body_key = KEYS[x], KEYS[x + 1]
  if has_large_body and call('EXISTS', staged) == 0 then
    return 'restage'
  end
  local token, due_at = '', now_text
  if has_ended then
    if not lists_of_ended[ended] then
      call('LLEN', ended)
      lists_of_ended[ended] = {}
      n_unwritten = n_unwritten + 1
    end
  else
    if not due_times[due] then
      call('ZCOUNT', due, '0', '0')
      due_times[due] = {}
      n_unwritten = n_unwritten + 1
    end
    if lease_us ~= '' then
      token, due_at = request, from_now(lease_us)
    end
  end

  -- The one write that can fail, by a key of another type, comes first.
  local packed = pack_state(status, mode, '1', token, request, '', ARGV[a + 8])
  if has_large_body then
    call('HSET', hash, 'c', now_text, 's', packed)
    adopt_body(staged, body_key)
  else
    call('HSET', hash, 'c', now_text, 's', packed, 'b', body)
  end
  if has_ended then
    call('PEXPIREAT', hash, expires_at)
    if has_large_body then
      call('PEXPIREAT', body_key, expires_at)
    end
    table.insert(lists_of_ended[ended], ARGV[a])
  else
    table.insert(due_times[due], due_at)
    table.insert(due_times[due], ARGV[a])
    bucket.in_work = bucket.in_work + 1
  end
  bucket.orders = bucket.orders + 1
  local taken = take_units(bucket, field, buyer, units, has_ended and 'S' or 'H')
  return { token == '' and 'taken' or 'taken_held', taken }
end

local function write(k)
  local books, buyers, rows = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local due, ended = KEYS[k + 4], KEYS[k + 4]
  write_bucket(books, buyers, rows)
  local times, gids = due_times[due], lists_of_ended[ended]
  if times then
    due_times[due] = nil
    n_unwritten = n_unwritten - 1
    if #times > 0 then
      call('ZADD', due, unpack(times))
    end
  end
  if gids then
    lists_of_ended[ended] = nil
    n_unwritten = n_unwritten - 1
    if #gids > 0 then
      list_ended(ended, gids)
    end
  end
end

return each_of_buckets(5, 1, 11, ask, order, write)
