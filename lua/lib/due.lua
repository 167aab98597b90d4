-- The texts of points in time after now, by the texts of the spans in µs: items of a call often
-- have the same, and to write a number costs as much as a small command.
local later = {}

local function from_now(span_us)
  local text = later[span_us]
  if not text then
    text = integer(now + span_us)
    later[span_us] = text
  end
  return text
end

-- Writes the score of whoever gets or loses a hold: another one than before, so that no second step
-- of a claim that is still under way finds the score that its first step set. To be called before
-- the hash is written: it is the write that fails when the key is not a sorted set.
local function put_due_anew(due, gid, at)
  local present = call('ZSCORE', due, gid)
  if present and tonumber(present) == at then
    at = at + 1
  end
  call('ZADD', due, integer(at), gid)
end
