-- Makes the large body that this request staged the transaction's own. The staged copy expires by
-- itself, the transaction's must not.
local function adopt_body(staged, body)
  call('RENAME', staged, body)
  call('PERSIST', body)
end
