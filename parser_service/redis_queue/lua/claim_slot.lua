#!lua flags=allow-oom
-- Turn the slot that is kept for a ticket into one that is held, if there is one.
-- KEYS: none; host_keys.lua builds the names.
-- ARGV: 1 prefix, 2 host, 3 ticket, 6 lease of a slot (ms).
-- Returns 1 if the slot is held now, 0 if the ticket still waits.
-- allow-oom: it changes a score and adds nothing.
-- @include clock
-- @include host_keys
local host, holder, lease = ARGV[2], ARGV[3], tonumber(ARGV[6])
return redis.call('ZADD', key(host, 'slots'), 'XX', 'CH', now + lease, holder)
