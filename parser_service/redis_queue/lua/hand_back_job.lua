#!lua flags=allow-oom
-- Put a job back to the head of its list and end its lease.
-- KEYS: 1 the list, 2 leases. ARGV: 1 message, 2 token of the lease, '' without one.
-- allow-oom: the job was in Redis a moment ago and must not be lost now.
redis.call('LPUSH', KEYS[1], ARGV[1])
if ARGV[2] ~= '' then redis.call('ZREM', KEYS[2], ARGV[2]) end
