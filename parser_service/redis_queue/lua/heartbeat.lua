#!lua flags=allow-oom
-- Record that this parser lives, and forget parsers that were not seen for long.
-- KEYS: 1 parsers. ARGV: 1 name of this parser, 2 seconds after which a parser is forgotten.
-- allow-oom: a full Redis must not make parsers look dead.
-- @include clock
local seconds = math.floor(now / 1000)
redis.call('ZADD', KEYS[1], seconds, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', seconds - ARGV[2])
-- Nobody's: the clock was set back, or somebody else wrote it. Whoever is alive writes again.
redis.call('ZREMRANGEBYSCORE', KEYS[1], seconds + ARGV[2], '+inf')
