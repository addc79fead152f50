#!lua flags=allow-oom
-- Hand out the slots that fell due: intervals that have passed, leases that have expired.
-- KEYS: none; host_keys.lua builds the names.
-- ARGV: 1 prefix, 4-8 see host_slots.lua, 9 hosts to look at in one call,
--       10 waiters of one host that may get a slot now.
-- Returns the hosts that could not be looked at: somebody put a key of another type there. They
-- are looked at again later, and hold up no other host.
-- allow-oom: it moves jobs and takes little memory.
-- @include host_slots
local broken = {}
local due = redis.call('ZRANGEBYSCORE', hosts, '-inf', now, 'LIMIT', 0, ARGV[9])
local room = ARGV[9] - #due
if room > 0 then -- if the clock was set back, some are not due for long
    local ahead = redis.call('ZRANGEBYSCORE', hosts, '(' .. latest, '+inf', 'LIMIT', 0, room)
    for _, host in ipairs(ahead) do table.insert(due, host) end
end
for _, host in ipairs(due) do
    if not pcall(hand_over, host, tonumber(ARGV[10])) then
        redis.call('ZADD', hosts, now + recheck, host)
        table.insert(broken, host)
    end
end
return broken
