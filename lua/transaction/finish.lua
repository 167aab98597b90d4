#!lua flags=allow-oom
-- finish: stores a holder's final state.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>      the transaction, hash
--   [2] tandem:{TAG}:due          due times of its shard, sorted set
--   [3] tandem:{TAG}:fin:<minute> gids that ended in that minute, list
-- and, after all items' keys, for each item that is known to have a large body:
--   [x] tandem:{TAG}:b:<gid>      the body, string
-- ARGV:
--   [1] retention of ended ones, in ms
-- and for each item:
--   [1] `<token>;<n>;` with the number of the state before this one
--   [2] `<token>;<n>;` with the number of this state
--   [3] status letter, C or F
--   [4] rest of the packed state
--   [5] reason, '' for none; P and S have none
--   [6] 1 if it leaves prepared by a back-check, else 0
--   [7] how many registered branches the holder knows of, '' where it need not (not tcc, xa)
--   [8] gid
--   [9] x, the place of the large body's key, or 0
--
-- Returns now in µs, then for each item one of
--   written           and ended
--   refused           the hold is over: say nothing of the end
--   with_body         its body is large: call again with its key; nothing was written
--   { reread, created at, state, body, override, reason, branches }
--                     it leaves prepared, and more branches are registered: nothing was written,
--                     and the hold stands
--   { error, text }   nothing was written
--
-- One script: what ends is no longer due, expires and is listed in one change, so that neither an
-- entry of an ended one nor an ended one that never expires is left.

local function finish(k, a)
  local hash, due, ended = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local gid = ARGV[a + 7]

  local packed = call('HGET', hash, 's')
  local verdict, mode, kept, old_status = judge_record(hash, packed, a)
  if verdict then
    return verdict
  end
  local has_large_body = is_large(mode)
  local x = has_large_body and tonumber(ARGV[a + 8]) or 0
  local body = KEYS[x]
  if has_large_body and not body then
    return 'with_body'
  end
  leave_due(due, ended, gid)
  write_record(hash, a, ARGV[a + 1], mode, kept, old_status)
  call('PEXPIREAT', hash, expires_at)
  if has_large_body then
    call('PEXPIREAT', body, expires_at)
  end
  return 'written'
end

return each_item(3, 1, 9, finish)
