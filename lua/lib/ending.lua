-- What an end leaves behind: the hash for the retention, and the gid in the list of those that
-- ended in the same minute. The calls of scripts that end something begin with the retention in ms.

-- When what ends now expires, in ms since 1970. A retention that is no number fails here, before
-- anything is written.
local expires_ms = math.floor(now / 1000) + ARGV[1]
local expires_at = integer(expires_ms)

-- A list takes gids for its minute and for as long as nodes' estimates of the time lag, and its
-- expiry starts with its first one: so it lives this much longer than the transactions.
local LIST_MARGIN_MS = 180000

-- Adds gids of what ends to the list, whose first one says how long it lives.
local function list_ended(ended, gids)
  if call('RPUSH', ended, unpack(gids)) == #gids then
    call('PEXPIREAT', ended, integer(expires_ms + LIST_MARGIN_MS))
  end
end

-- The only writes of an end that can fail, by a key of another type; so they come before all the
-- others, and the list is looked at before the due entry goes. The fault leaves all as it was.
local function leave_due(due, ended, gid)
  local n_ended = call('LLEN', ended)
  call('ZREM', due, gid)
  call('RPUSH', ended, gid)
  if n_ended == 0 then
    call('PEXPIREAT', ended, integer(expires_ms + LIST_MARGIN_MS))
  end
end
