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

-- Adds what one(k, a) answers for each item that has no answer yet, up to one that fails.
local function go_on(replies, n_keys, n_head, n_args, one)
  for i = #replies - 1, (#ARGV - n_head) / n_args - 1 do
    replies[i + 2] = one(i * n_keys + 1, n_head + i * n_args + 1)
  end
end

-- Answers now, then what one(k, a) answers for each item: its first key is KEYS[k], its first
-- argument ARGV[a]. An item that fails answers { 'error', text } and harms no other: each is
-- checked as a whole before its own first write, and the call goes on behind one that failed.
local function each_item(n_keys, n_head, n_args, one)
  local replies = { now }
  repeat
    local is_good, fault = pcall(go_on, replies, n_keys, n_head, n_args, one)
    if not is_good then
      replies[#replies + 1] = { 'error', type(fault) == 'table' and fault.err or tostring(fault) }
    end
  until is_good
  return replies
end
