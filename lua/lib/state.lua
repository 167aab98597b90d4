-- The packed state, field s:
-- `<status><mode><token>;<n>;<request>;<not before>;<written at>;<rest>`.
-- Status: P prepared, S submitted, A aborting, C succeed, F failed. Mode: S saga, M message, T tcc,
-- X xa, W workflow; a small letter says that the body is in a key of its own. Token: of the holder,
-- empty if nobody holds it. n: the number of the state. Request: the last one that changed the
-- status, empty after a back-check's promotion. Times in µs; "not before" is empty but for a
-- delayed message. Only the node reads the rest.

-- What is read of a state, each a text, and where the rest begins, which few need.
local function unpack_state(packed)
  local status, mode, token, n, request, not_before, rest_at =
    string.match(packed, '^(%u)(%a)([^;]*);(%d+);([^;]*);(%d*);%d+;()')
  if not status then
    error('the packed state cannot be read', 0)
  end
  return status, mode, n, token, request, not_before, rest_at
end

-- Packs a state that is written now. Numbers of states have few digits: joined, they stay whole.
local function pack_state(status, mode, n, token, request, not_before, rest)
  return status .. mode .. token .. ';' .. n .. ';' .. request .. ';' .. not_before .. ';'
    .. now_text .. ';' .. rest
end

local function is_final(status)
  return status == 'C' or status == 'F'
end

-- Whether the body is in a key of its own.
local function is_large(mode)
  return string.byte(mode) >= 97 -- a
end
