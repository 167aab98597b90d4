-- The packed state, field s:
-- `<status><mode><n>;<token>;<request>;<written at>;<not before>;<rest>`.
-- Status: P prepared, S submitted, A aborting, C succeed, F failed. Mode: S saga, M message, T tcc,
-- X xa, W workflow; a small letter says that the body is in a key of its own. n: the number of the
-- state. Token: of the holder, empty if nobody holds it. Request: the last one that changed the
-- status, empty after a back-check's promotion. Times in µs; "not before" is empty but for a
-- delayed message. Only the node reads the rest.

-- What is read of every state, each a text, and where the rest begins: most callers replace it, and
-- need none of it.
local function unpack_state(packed)
  local status, mode, n, token, request, not_before, rest_at =
    string.match(packed, '^(%u)(%a)(%d+);([^;]*);([^;]*);%d+;(%d*);()')
  if not status then
    error('the packed state cannot be read', 0)
  end
  return status, mode, n, token, request, not_before, rest_at
end

-- Packs a state that is written now. Numbers of states have few digits: joined, they stay whole.
local function pack_state(status, mode, n, token, request, not_before, rest)
  return status .. mode .. n .. ';' .. token .. ';' .. request .. ';' .. now_text .. ';'
    .. not_before .. ';' .. rest
end

local function is_final(status)
  return status == 'C' or status == 'F'
end

-- Whether the body is in a key of its own.
local function is_large(mode)
  return string.byte(mode) >= 97 -- a
end
