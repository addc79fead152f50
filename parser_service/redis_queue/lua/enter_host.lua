#!lua flags=allow-oom
-- Take a slot of a host, or join a line of those that wait for one.
-- A job that joins gives up its lease in the same moment: no parser holds it any longer.
-- A slot that is free goes to the line first, so that newcomers do not overtake it.
-- KEYS: none; host_keys.lua builds the names.
-- ARGV: 1 prefix, 2 host, 3 holder of the slot, 4-8 see host_slots.lua,
--       9 the line to join: 'waiting' or 'tickets', 10 what to put into it: a parked job or a
--       ticket, 11 the token of the job's lease, '' without one.
-- Returns 1 with a slot, 0 in the line.
-- allow-oom: it takes little memory, and what waits frees much.
-- @include host_slots
local host, holder, line, item, token = ARGV[2], ARGV[3], ARGV[9], ARGV[10], ARGV[11]
local look_again = busy_until(host)
if not look_again and redis.call('EXISTS', key(host, line)) == 0 then
    occupy(host, holder, lease)
    return 1
end
redis.call('RPUSH', key(host, line), item)
if token ~= '' then redis.call('ZREM', leases, token) end
redis.call('ZADD', hosts, look_again or now, host)
return 0
