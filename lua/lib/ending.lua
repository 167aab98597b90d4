-- What an end leaves behind: the hash for the retention, and the gid in the list of those that ended
-- in the same minute.

-- A list takes gids for its minute and for as long as nodes' estimates of the time lag, and its
-- expiry starts with its first one: so it lives this much longer than the transactions.
local LIST_MARGIN_MS = 180000

local function keep_ended(hash, ended, gid, retention_ms)
  call('PEXPIRE', hash, retention_ms)
  if call('RPUSH', ended, gid) == 1 then
    call('PEXPIRE', ended, integer(retention_ms + LIST_MARGIN_MS))
  end
end
