#!lua flags=allow-oom
-- Records that a worker is alive, and deletes heartbeats that are too old, or far ahead.
-- allow-oom: a worker must not look dead because Redis has no memory left.
--
-- KEYS: 1 the sorted set of workers, by the second of their last heartbeat
-- ARGV: 1 the worker's name
--       2 seconds after which a heartbeat is deleted
-- @include clock
local seconds = math.floor(now / 1000)
redis.call('ZADD', KEYS[1], seconds, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', seconds - ARGV[2])
-- Nobody's: the clock was set back, or somebody else wrote it. Whoever is alive writes again.
redis.call('ZREMRANGEBYSCORE', KEYS[1], seconds + ARGV[2], '+inf')
