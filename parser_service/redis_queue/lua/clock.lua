-- The time by Redis's own clock, so that the clocks of parsers need not agree.
-- Defines: now (ms).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
