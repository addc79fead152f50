#!lua flags=no-writes
-- Returns how many jobs are on the list, ready, waiting for hosts and leased, how many results
-- are announced, and their bytes. Counts here because thousands of hosts may have jobs waiting.
--
-- KEYS: 1 the list of jobs
--       2 the list of ready jobs
--       3 the sorted set of hosts that jobs or requests wait for
--       4 the sorted set of leases
--       5 the reply list
--       6 the size of the results that wait to be persisted
-- ARGV: 1 what precedes a host in the name of its waiting list, and
--       2 what follows it: the script learns the hosts from Redis, so it builds these names
--         itself
-- A key of another type holds nothing of ours.
local function count(...)
    local found = redis.pcall(...)
    return type(found) == 'table' and 0 or math.floor(tonumber(found) or 0)
end

local waiting = 0
for _, host in ipairs(redis.pcall('ZRANGE', KEYS[3], 0, -1)) do
    waiting = waiting + count('LLEN', ARGV[1] .. host .. ARGV[2])
end
return {
    count('LLEN', KEYS[1]), count('LLEN', KEYS[2]), waiting, count('ZCARD', KEYS[4]),
    count('LLEN', KEYS[5]), count('GET', KEYS[6]),
}
