#!lua flags=allow-oom
-- rest: stores a holder's state and ends the hold.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>  the transaction, hash
--   [2] tandem:{TAG}:due      due times of its shard, sorted set
-- ARGV, for each item:
--   [1] `<token>;<n>;` with the number of the state before this one
--   [2] `<token>;<n>;` with the number of this state
--   [3] status letter
--   [4] rest of the packed state
--   [5] reason, '' for none; P and S have none
--   [6] 1 if it leaves prepared by a back-check, else 0
--   [7] how many registered branches the holder knows of, '' where it need not (not tcc, xa)
--   [8] gid
--   [9] when it is due next, in µs
--
-- Returns now in µs, then for each item one of
--   written           and at rest
--   refused           the hold is over; said of a repeat of a rest that was stored, too
--   { reread, created at, state, body, override, reason, branches }
--                     it leaves prepared, and more branches are registered: nothing was written,
--                     and the hold stands
--   { error, text }   nothing was written
--
-- One script: a reset that comes between the state and the due time would be lost.

local function rest(k, a)
  local hash, due = KEYS[k], KEYS[k + 1]
  local hold, gid, due_at = ARGV[a + 1], ARGV[a + 7], tonumber(ARGV[a + 8])

  local stored = call('HMGET', hash, 's', 'w')
  local verdict, mode, kept, old_status = judge_record(hash, stored[1], a)
  if verdict then
    return verdict
  end
  local is_woken = stored[2]
  put_due_anew(due, gid, is_woken and now or due_at)
  -- Without its token.
  write_record(hash, a, string.match(hold, ';.*'), mode, kept, old_status)
  if is_woken then
    call('HDEL', hash, 'w')
  end
  return 'written'
end

return each_item(2, 0, 9, rest)
