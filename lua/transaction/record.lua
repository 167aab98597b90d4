#!lua flags=allow-oom
-- record: stores a holder's state; the hold goes on, and the due time stays.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>  the transaction, hash
-- ARGV, for each item:
--   [1] `<token>;<n>;` with the number of the state before this one
--   [2] `<token>;<n>;` with the number of this state
--   [3] status letter
--   [4] rest of the packed state
--   [5] reason, '' for none; P and S have none
--   [6] 1 if it leaves prepared by a back-check, else 0
--   [7] how many registered branches the holder knows of, '' where it need not (not tcc, xa)
--
-- Returns now in µs, then for each item one of
--   written           by this call or an earlier copy of it
--   refused           the hold is over: stop, and call nothing more
--   { reread, created at, state, body, override, reason, branches }
--                     it leaves prepared, and more branches are registered: nothing was written,
--                     and the hold stands
--   { error, text }   nothing was written
--
-- One script, so that a stale holder, or a copy that comes late, changes nothing.

local function record(k, a)
  local hash = KEYS[k]

  local packed = call('HGET', hash, 's')
  local verdict, mode, kept, old_status = judge_record(hash, packed, a)
  if verdict then
    return verdict
  end
  write_record(hash, a, ARGV[a + 1], mode, kept, old_status)
  return 'written'
end

return each_item(1, 0, 7, record)
