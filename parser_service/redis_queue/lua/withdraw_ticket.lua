#!lua flags=allow-oom
-- Give a ticket back, waiting or called, and hand its slot to the next in line.
-- KEYS: none; host_keys.lua builds the names.
-- ARGV: 1 prefix, 2 host, 3 ticket, 4-8 see host_slots.lua.
-- allow-oom: it frees memory.
-- @include host_slots
local host, holder = ARGV[2], ARGV[3]
redis.call('LREM', key(host, 'tickets'), 1, holder)
redis.call('ZREM', key(host, 'slots'), holder)
hand_over(host, 1)
