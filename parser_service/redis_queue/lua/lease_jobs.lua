#!lua flags=allow-oom
-- Lease jobs that were taken without a lease.
-- KEYS: 1 leases. ARGV: 1 lease (ms), 2... tokens.
-- allow-oom: leases take little memory, and without one a job is run twice.
-- @include clock
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
