#!lua flags=allow-oom
-- Returns tokens whose lease ended and was noted as ended long enough ago. Notes what has ended
-- now, and forgets the notes of leases that were renewed or given up since.
-- allow-oom: the jobs of dead parsers are pushed again also when Redis has little memory.
--
-- KEYS: 1 the sorted set of leases, by the millisecond at which they end
--       2 the sorted set of ended leases, by the millisecond at which that was noted
-- ARGV: 1 milliseconds that an ended lease may still be renewed
--       2 how many tokens at most
-- @include clock
local leases, ended = KEYS[1], KEYS[2]
for _, token in ipairs(redis.call('ZRANGEBYSCORE', ended, '-inf', '+inf')) do
    local until_ms = redis.call('ZSCORE', leases, token)
    if not until_ms or tonumber(until_ms) > now then redis.call('ZREM', ended, token) end
end
for _, token in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, ARGV[2])) do
    redis.call('ZADD', ended, 'NX', now, token)
end
return redis.call('ZRANGEBYSCORE', ended, '-inf', now - ARGV[1], 'LIMIT', 0, ARGV[2])
