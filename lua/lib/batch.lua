-- Put first in every script: Redis's time, read once, and the loop over the items.

local KEYS, ARGV, call, format = KEYS, ARGV, redis.call, string.format

-- A whole number as text. Points in time have 16 digits. tostring would keep 14 of them; %.0f keeps
-- all, but takes longer than most commands; %d keeps those of a C long: 9 at least.
local function integer(number)
  if number < 1000000000 then
    return format('%d', number)
  end
  return format('%d%09d', number / 1000000000, number % 1000000000)
end

local time = call('TIME')
-- Microseconds since 1970, as text and as a number: below 2^53, so a double holds it exactly.
local now_text = time[1] .. string.sub('00000' .. time[2], -6)
local now = tonumber(now_text)

-- Adds what one(k, a, s) answers for each of the n items behind n_before replies that has no answer
-- yet, up to one that fails.
local function go_on(replies, n_before, n, k, a, n_keys, n_args, one, s)
  local n_done = #replies - n_before
  k, a = k + n_done * n_keys, a + n_done * n_args
  for i = #replies + 1, n_before + n do
    replies[i] = one(k, a, s)
    k, a = k + n_keys, a + n_args
  end
end

-- Adds to the replies what one(k, a, s) answers for each of n items: the first one's first key is
-- KEYS[k], its first argument ARGV[a]. An item that fails answers { 'error', text } and harms no
-- other: each is checked as a whole before its own first write, and the call goes on behind one
-- that failed.
local function answer_items(replies, n, k, a, n_keys, n_args, one, s)
  local n_before = #replies
  repeat
    local is_good, fault = pcall(go_on, replies, n_before, n, k, a, n_keys, n_args, one, s)
    if not is_good then
      replies[#replies + 1] = { 'error', type(fault) == 'table' and fault.err or tostring(fault) }
    end
  until is_good
end

-- Answers now, then what one(k, a) answers for each item of the call.
local function each_item(n_keys, n_head, n_args, one)
  local replies = { now }
  answer_items(replies, (#ARGV - n_head) / n_args, 1, n_head + 1, n_keys, n_args, one)
  return replies
end
