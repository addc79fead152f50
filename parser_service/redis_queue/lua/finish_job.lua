-- Store a result, announce it if its job asks for that, and end the lease, all at once.
-- No `#!lua flags=allow-oom` here, on purpose: if Redis has no memory left, the result stays
-- with the parser until it has some.
-- KEYS: 1 the result, 2 leases, 3 the reply list, 4 its count of bytes.
-- ARGV: 1 result, 2 seconds to keep it, 3 token of the lease, '' without one,
--       4 announcement, '' for none.
-- Returns '', or why the result could not be announced. The job names its reply list, so that
-- may be a key of any type: this costs the job its announcement, and this parser nothing.
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
local refusal = ''
if ARGV[4] ~= '' then
    local length = redis.pcall('RPUSH', KEYS[3], ARGV[4])
    if type(length) == 'table' then
        refusal = length.err
    else
        redis.pcall('INCRBY', KEYS[4], string.len(ARGV[1]))
    end
end
if ARGV[3] ~= '' then redis.pcall('ZREM', KEYS[2], ARGV[3]) end
return refusal
