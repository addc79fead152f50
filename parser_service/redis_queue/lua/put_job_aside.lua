#!lua flags=allow-oom
-- Park a job that its parser has no place for: in the line of its host, without asking for a
-- slot, and without its slot and its lease. Nothing is handed over here: the parser would take
-- the next job of this host at once and put it aside as well, for ever.
-- KEYS: none; host_keys.lua builds the names.
-- ARGV: 1 prefix, 2 host, 3 holder of the job's slot, '' without one, 4-8 see host_slots.lua,
--       9 the parked job, 10 the token of the job's lease, '' without one.
-- allow-oom: it takes little memory, and what waits frees much.
-- @include clock
-- @include host_keys
local host, holder, parked, token = ARGV[2], ARGV[3], ARGV[9], ARGV[10]
redis.call('RPUSH', key(host, 'waiting'), parked)
if holder ~= '' then redis.call('ZREM', key(host, 'slots'), holder) end
if token ~= '' then redis.call('ZREM', leases, token) end
redis.call('ZADD', hosts, now + ARGV[7], host)
