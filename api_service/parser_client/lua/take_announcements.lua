#!lua flags=allow-oom
-- Returns what a taker has taken, filled up from the reply list within both limits.
-- Takes at least one announcement if there is any, and returns those taken before again.
-- allow-oom: results must be taken when Redis has no memory left, or none is ever freed.
--
-- KEYS: 1 the reply list
--       2 the list of what this taker has taken
--       3 the sorted set of takers, by the millisecond at which their lease ends
-- ARGV: 1 the taker's name
--       2 milliseconds of its lease
--       3 how many announcements at most
--       4 how many bytes of results at most
-- @include clock
local list, taken, takers = KEYS[1], KEYS[2], KEYS[3]
local limit, room = tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZADD', takers, now + ARGV[2], ARGV[1])
local function size_of(raw)
    local ok, message = pcall(cjson.decode, raw)
    local size = ok and type(message) == 'table' and tonumber(message.bytes)
    return size and size > 0 and size or 0  -- neither less than nothing nor "NaN"
end
local batch = redis.call('LRANGE', taken, 0, limit - 1)
for _, raw in ipairs(batch) do room = room - size_of(raw) end
while #batch < limit do
    local raw = redis.call('LINDEX', list, 0)
    if not raw then break end
    room = room - size_of(raw)
    if room < 0 and #batch > 0 then break end
    redis.call('RPUSH', taken, raw)
    redis.call('LPOP', list)
    batch[#batch + 1] = raw
end
return batch
