-- Sets `now` to Redis's own time in milliseconds: the clocks of other machines may differ.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
