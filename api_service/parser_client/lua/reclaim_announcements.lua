#!lua flags=allow-oom
-- Moves what takers with an ended lease have taken back to the head of the reply list, in the
-- same order, and forgets those takers; returns how many announcements it moved.
-- If nothing is announced or taken, no bytes wait: then a count that says otherwise is wrong, and
-- would stop all parsers for good.
-- allow-oom: their results occupy memory until another process persists them.
--
-- KEYS: 1 the reply list
--       2 the sorted set of takers, by the millisecond at which their lease ends
--       3 the size of the results that wait to be persisted
-- ARGV: 1 what precedes a taker's name in the name of its list: the script learns the takers
--         from Redis, so it builds these names itself
--       2 milliseconds of a taker's lease: no lease ends later, unless the clock was set back
-- @include clock
local moved, waiting = 0, 0
for _, range in ipairs({{'-inf', now}, {'(' .. now + ARGV[2], '+inf'}}) do
    for _, taker in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], range[1], range[2])) do
        local taken = ARGV[1] .. taker
        local is_list = redis.call('TYPE', taken).ok == 'list'  -- else somebody else wrote it
        while is_list and redis.call('LMOVE', taken, KEYS[1], 'RIGHT', 'LEFT') do
            moved = moved + 1
        end
        redis.call('ZREM', KEYS[2], taker)
    end
end
for _, taker in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    waiting = waiting + redis.call('EXISTS', ARGV[1] .. taker)
end
if waiting + redis.call('EXISTS', KEYS[1]) == 0 then redis.call('DEL', KEYS[3]) end
return moved
