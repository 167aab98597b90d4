-- The registered branches: the name of a field, what it holds, and so on. All are answered, in no
-- order: a script that adds one has bounded how many there are.
local function registered(hash)
  local fields, branches = call('HGETALL', hash), {}
  for i = 1, #fields, 2 do
    if string.byte(fields[i]) == 35 then -- #
      branches[#branches + 1] = fields[i]
      branches[#branches + 1] = fields[i + 1]
    end
  end
  return branches
end
