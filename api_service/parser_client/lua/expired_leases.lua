#!lua flags=allow-oom
-- Returns tokens whose lease ended and was noted as ended long enough ago. Notes what has ended
-- now, and forgets the notes of leases that were renewed or given up since.
-- A lease that ends later than any may has ended: the clock was set back, or somebody else wrote it.
-- The parser that holds it renews it with the right time.
-- allow-oom: the jobs of dead parsers are pushed again also when Redis has little memory.
--
-- KEYS: 1 the sorted set of leases, by the millisecond at which they end
--       2 the sorted set of ended leases, by the millisecond at which that was noted
-- ARGV: 1 milliseconds that an ended lease may still be renewed
--       2 how many tokens at most
--       3 milliseconds that no lease exceeds
-- @include clock
local leases, ended = KEYS[1], KEYS[2]
local latest = now + ARGV[3]
redis.call('ZREMRANGEBYSCORE', ended, '(' .. now, '+inf')
for _, token in ipairs(redis.call('ZRANGEBYSCORE', ended, '-inf', '+inf')) do
    local until_ms = tonumber(redis.call('ZSCORE', leases, token))
    if not until_ms or (until_ms > now and until_ms <= latest) then
        redis.call('ZREM', ended, token)
    end
end
for _, range in ipairs({{'-inf', now}, {'(' .. latest, '+inf'}}) do
    local found = redis.call('ZRANGEBYSCORE', leases, range[1], range[2], 'LIMIT', 0, ARGV[2])
    for _, token in ipairs(found) do redis.call('ZADD', ended, 'NX', now, token) end
end
return redis.call('ZRANGEBYSCORE', ended, '-inf', now - ARGV[1], 'LIMIT', 0, ARGV[2])
