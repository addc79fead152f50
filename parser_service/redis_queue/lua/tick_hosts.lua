#!lua flags=allow-oom
-- Hand out the slots that fell due: intervals that have passed, leases that have expired.
-- KEYS: none; host_keys.lua builds the names.
-- ARGV: 1 prefix, 4-8 see host_slots.lua, 9 hosts to look at in one call.
-- allow-oom: it moves jobs and takes little memory.
-- @include host_slots
for _, host in ipairs(redis.call('ZRANGEBYSCORE', hosts, '-inf', now, 'LIMIT', 0, ARGV[9])) do
    hand_over(host)
end
