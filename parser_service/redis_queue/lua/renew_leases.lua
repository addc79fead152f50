#!lua flags=allow-oom
-- Renew the leases that exist. Never make one: a lease on a job that has left this parser
-- would end like that of a dead parser.
-- KEYS: 1 leases. ARGV: 1 lease (ms), 2... tokens.
-- allow-oom: it changes scores and adds nothing.
-- @include clock
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', now + ARGV[1], ARGV[i]) end
