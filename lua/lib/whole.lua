-- What a new holder is told; b is absent when the body is in a key of its own.
local function whole(word, hash)
  local stored = call('HMGET', hash, 'c', 's', 'b', 'o', 'r')
  return { word, stored[1], stored[2], stored[3], stored[4], stored[5] }
end
