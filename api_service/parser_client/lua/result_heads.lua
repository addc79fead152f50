#!lua flags=no-writes
-- Returns for each result what precedes its HTML, which may have 10 MiB: the length of the JSON
-- in decimal digits, a line feed, and the JSON. Only there is a `"token"` the attempt's own; a
-- page may contain anything. Returns a result in plain JSON as a whole if it is short. Returns 0
-- for an absent result, and 1 for any other: its reader must fetch it on its own.
--
-- KEYS: 1… the results
-- ARGV: 1 bytes of the longest plain JSON to return
--       2 bytes of the longest head to return
--       3 bytes of the largest result of which to return anything
local heads = {}
for i, key in ipairs(KEYS) do
    -- 15 digits are the most that a number in Lua holds exactly.
    local start = redis.pcall('GETRANGE', key, 0, 15)
    local length = type(start) == 'string' and string.match(start, '^(%d+)\n')
    if type(start) == 'table' then
        heads[i] = 1  -- a value of another type
    elseif redis.call('STRLEN', key) > tonumber(ARGV[3]) then
        heads[i] = 1
    elseif length and tonumber(length) <= tonumber(ARGV[2]) then
        heads[i] = redis.call('GETRANGE', key, 0, #length + tonumber(length))
    elseif start == '' then
        heads[i] = 0
    elseif redis.call('STRLEN', key) <= tonumber(ARGV[1]) then
        heads[i] = redis.call('GET', key)
    else
        heads[i] = 1
    end
end
return heads
