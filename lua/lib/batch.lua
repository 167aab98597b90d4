-- Put first in every script: Redis's time, read once, and the loop over the items.

local KEYS, ARGV, call = KEYS, ARGV, redis.call

-- A whole number as text. Points in time have 16 digits. tostring would keep 14 of them; %.0f keeps
-- all, but takes longer than most commands; %d keeps those of a C long: 9 at least.
local function integer(number)
  if number < 1000000000 then
    return string.format('%d', number)
  end
  return string.format('%d%09d', number / 1000000000, number % 1000000000)
end

local time = call('TIME')
-- Microseconds since 1970, as text and as a number: below 2^53, so a double holds it exactly.
local now_text = time[1] .. string.sub('00000' .. time[2], -6)
local now = tonumber(now_text)

-- Answers now, then what one(k, a) answers for each item: its first key is KEYS[k], its first
-- argument ARGV[a]. An item that fails answers { 'error', text } and harms no other: each is
-- checked as a whole before its own first write.
local function each_item(n_keys, n_head, n_args, one)
  local replies = { now }
  local n_items = (#ARGV - n_head) / n_args
  for i = 0, n_items - 1 do
    local is_good, reply = pcall(one, i * n_keys + 1, n_head + i * n_args + 1)
    if not is_good then
      reply = { 'error', type(reply) == 'table' and reply.err or tostring(reply) }
    end
    replies[i + 2] = reply
  end
  return replies
end
