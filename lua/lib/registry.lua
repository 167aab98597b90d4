-- How an entry of a registry, a topic or a sale's definition, is written. It is stored as
-- `<version>;<created at>;<updated at>;<text>`, times in µs. The version starts with 1 and counts
-- its changes.

-- What an entry that is written now begins with, and its version; nil if it is not as the node
-- found it: `<version>;<created at>;`, '' if there was none.
local function new_head(entries, name, found)
  local stored = call('HGET', entries, name) or ''
  local version, created_at = string.match(stored, '^(%d+);(%d+);')
  if (version and version .. ';' .. created_at .. ';' or stored) ~= found then
    return nil
  end
  version = integer((version or 0) + 1)
  return version .. ';' .. (created_at or now_text) .. ';' .. now_text .. ';', version
end

-- Writes the entry. The one write that can fail, by a key of another type, comes first.
local function put_entry(entries, names, name, entry)
  call('ZADD', names, '0', name)
  call('HSET', entries, name, entry)
end
