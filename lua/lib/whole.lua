-- What a new holder is told; b is absent when the body is in a key of its own. The branches are
-- absent but for the modes whose client registers them.
local function whole(word, hash)
  local stored = call('HMGET', hash, 'c', 's', 'b', 'o', 'r')
  local has_registered = stored[2] and string.find(stored[2], '^%u[TXWtxw]')
  local branches = has_registered and registered(hash)
  return { word, stored[1], stored[2], stored[3], stored[4], stored[5], branches }
end
