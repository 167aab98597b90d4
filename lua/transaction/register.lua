#!lua
-- register: adds a branch to prepared transactions.
--
-- KEYS, for each item:
--   [1] tandem:{TAG}:g:<gid>  the transaction, hash
-- ARGV, for each item:
--   [1] mode letter
--   [2] name of the branch's field
--   [3] content of the branch
--   [4] the most branches that it may have
--   [5] the most bytes that the contents of its branches may have together
--
-- Returns now in µs, then for each item one of
--   done                       it is there, by this call or an earlier one
--   other_content              another branch has its name
--   too_many                   it has as many branches as it may have
--   too_large                  its branches would have more bytes than they may have
--   { not_prepared, status }   it exists in another status
--   { other_mode, mode }       it exists with another mode
--   missing                    no such gid
--   { error, text }            nothing was written
--
-- One script: a branch that comes when the end is decided would be called by nobody. It takes the
-- hold from nobody; a holder that leaves prepared says how many branches it knows of. Refused when
-- Redis is full.

local function register(k, a)
  local hash = KEYS[k]
  local mode, name, content = ARGV[a], ARGV[a + 1], ARGV[a + 2]
  local n_max, bytes_max = tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])

  local stored = call('HMGET', hash, 's', 'k', name, 'z')
  if not stored[1] then
    return 'missing'
  end
  local status, stored_mode = unpack_state(stored[1])
  if string.upper(stored_mode) ~= mode then
    return { 'other_mode', string.upper(stored_mode) }
  end
  if status ~= 'P' then
    return { 'not_prepared', status }
  end
  local present = stored[3]
  if present then
    local content_at = string.find(present, ';', 1, true) + 1
    return string.sub(present, content_at) == content and 'done' or 'other_content'
  end
  local n_branches = tonumber(stored[2] or 0)
  if n_branches >= n_max then
    return 'too_many'
  end
  local n_bytes = tonumber(stored[4] or 0) + #content
  if n_bytes > bytes_max then
    return 'too_large'
  end
  call('HSET', hash, name, n_branches .. ';' .. content, 'k', n_branches + 1, 'z', n_bytes)
  return 'done'
end

return each_item(1, 0, 5, register)
