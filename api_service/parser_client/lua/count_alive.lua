#!lua flags=no-writes
-- Returns for each set how many of its members had a heartbeat recently.
--
-- KEYS: 1… sorted sets of processes, by the second of their last heartbeat
-- ARGV: 1 seconds that a heartbeat may be old, or, if the clock was set back, ahead
local seconds, age = tonumber(redis.call('TIME')[1]), tonumber(ARGV[1])
local counts = {}
for i, key in ipairs(KEYS) do counts[i] = redis.call('ZCOUNT', key, seconds - age, seconds + age) end
return counts
