#!lua flags=allow-oom
-- turn: stores a holder's state of an order that is aborting or has ended, and in the same change
-- gives its units back or sells them. Otherwise as record, rest and finish.
--
-- KEYS, for each bucket, and again where [5] is another one:
--   [1] tandem:{TAG}:f:<sale>     its books, hash
--   [2] tandem:{TAG}:fb:<sale>    its buyers, hash
--   [3] tandem:{TAG}:fr:<sale>    its reservations, hash
--   [4] tandem:{TAG}:due          due times of its shard, sorted set
--   [5] tandem:{TAG}:fin:<minute> gids that ended in that minute, list
-- then, for each item:
--   [1] tandem:{TAG}:g:<gid>      the transaction, hash
-- and, after all items' keys, for each item that ends and is known to have a large body:
--   [x] tandem:{TAG}:b:<gid>      the body, string
-- ARGV:
--   [1] retention of ended ones, in ms
--   [2] how many items each of these has: `<items>,…`
-- and for each item:
--   [1] `<token>;<n>;` with the number of the state before this one
--   [2] `<token>;<n>;` with the number of this state
--   [3] status letter: A, C or F
--   [4] rest of the packed state
--   [5] reason, '' for none
--   [6] 1 if it leaves prepared by a back-check, else 0: an order never does
--   [7] how many registered branches the holder knows of: '', an order has none
--   [8] gid
--   [9] when it is due next in µs, if the hold ends, else ''; of one that ends ''
--   [10] `o<order>`, the row's field
--   [11] x, the place of the large body's key, or 0
--
-- Returns now in µs, then for each item one of
--   written           by this call or an earlier copy of it (of a rest: by this call)
--   refused           the hold is over; said of a repeat of a rest that was stored, too
--   with_body         its body is large: call again with its key; nothing was written
--   { error, text }   nothing was written
--
-- One script: whoever sees that an order is rolled back finds its units for sale.

-- The gids that end beside the first one, n of each place of shared keys: these leave the due set
-- in one go.
local leaving = {}

local function leave(s, gid)
  local due, ended = KEYS[s + 3], KEYS[s + 4]
  leave_due(due, ended, gid)
  leaving[s] = { n = 0 }
end

local function ask(s, a, n)
  local books = KEYS[s]
  ask_to_settle(books, a + 9, a + 2, 'C', n, 11)
end

local function open(s)
  local books, buyers, rows = KEYS[s], KEYS[s + 1], KEYS[s + 2]
  return open_bucket(s, books, buyers, rows)
end

local function turn(k, a, s)
  local hash, due = KEYS[k], KEYS[s + 3]
  local hold, letter, gid, due_at = ARGV[a + 1], ARGV[a + 2], ARGV[a + 7], ARGV[a + 8]
  local field = ARGV[a + 9]

  local packed = call('HGET', hash, 's')
  local verdict, mode, kept, old_status = judge_record(hash, packed, a)
  if verdict then
    return verdict
  end
  local has_ended, has_large_body = is_final(letter), is_large(mode)
  local x = has_large_body and tonumber(ARGV[a + 10]) or 0
  local body = KEYS[x]
  if has_ended and has_large_body and not body then
    return 'with_body'
  end
  -- Not before: whoever is refused is told so, whatever state the bucket is in.
  local bucket = opened[s] or open(s)
  local units = held_units(bucket, field, letter ~= 'C')

  local is_woken = due_at ~= '' and call('HGET', hash, 'w')
  local gids = has_ended and leaving[s]
  if gids then
    gids.n = gids.n + 1
    gids[gids.n] = gid
  elseif has_ended then
    leave(s, gid)
  elseif due_at ~= '' then
    put_due_anew(due, gid, is_woken and now or tonumber(due_at))
    -- Without its token.
    hold = string.match(hold, ';.*')
  end
  write_record(hash, a, hold, mode, kept, old_status)
  if is_woken then
    call('HDEL', hash, 'w')
  end
  if has_ended then
    call('PEXPIREAT', hash, expires_at)
    if has_large_body then
      call('PEXPIREAT', body, expires_at)
    end
  end
  if units then
    settle_row(bucket, field, units, letter == 'C' and 'S' or 'R')
  end
  return 'written'
end

local function write(s)
  local books, buyers, rows = KEYS[s], KEYS[s + 1], KEYS[s + 2]
  local due, ended = KEYS[s + 3], KEYS[s + 4]
  write_bucket(books, buyers, rows)
  local gids = leaving[s]
  if gids and gids.n > 0 then
    call('ZREM', due, unpack(gids))
    list_ended(ended, gids)
  end
end

return each_of_buckets(5, 1, 2, 11, ask, turn, write)
