#!lua flags=allow-oom
-- Hand out the slots that fell due: intervals that have passed, leases that have expired.
-- KEYS: none; host_keys.lua builds the names.
-- ARGV: 1 prefix, 4-8 see host_slots.lua, 9 hosts to look at in one call.
-- Returns the hosts that could not be looked at: somebody put a key of another type there. They
-- are looked at again later, and hold up no other host.
-- allow-oom: it moves jobs and takes little memory.
-- @include host_slots
local broken = {}
for _, host in ipairs(redis.call('ZRANGEBYSCORE', hosts, '-inf', now, 'LIMIT', 0, ARGV[9])) do
    if not pcall(hand_over, host) then
        redis.call('ZADD', hosts, now + recheck, host)
        table.insert(broken, host)
    end
end
return broken
