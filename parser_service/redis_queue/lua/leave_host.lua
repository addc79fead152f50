#!lua flags=allow-oom
-- Free a slot of a host and hand it to the next in line.
-- KEYS: none; host_keys.lua builds the names.
-- ARGV: 1 prefix, 2 host, 3 holder of the slot, 4-8 see host_slots.lua,
--       9 waiters that may get a slot now.
-- allow-oom: it frees memory.
-- @include host_slots
local host, holder = ARGV[2], ARGV[3]
redis.call('ZREM', key(host, 'slots'), holder)
hand_over(host, tonumber(ARGV[9]))
