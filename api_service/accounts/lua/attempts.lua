#!lua
-- Counts attempts in windows that begin with the first one: an attempt takes one from each counter.
-- Without allow-oom: if Redis has no memory left, processes count for themselves.
-- KEYS: counters.
-- ARGV: `look`, `take` or `give_back`; then for each key its limit and its window in milliseconds.
-- Returns milliseconds until there is room in every counter; 0 if there was: then `take` took.

if ARGV[1] == 'give_back' then
  for _, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or 0) > 0 then
      redis.call('DECR', key)
    end
  end
  return 0
end

local wait = 0
for i, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  if tonumber(redis.call('GET', key) or 0) >= limit then
    local left = redis.call('PTTL', key)
    if left < 0 then -- a counter without an end would lock its account for ever
      redis.call('PEXPIRE', key, window)
      left = window
    end
    wait = math.max(wait, left, 1)
  end
end

if wait == 0 and ARGV[1] == 'take' then
  for i, key in ipairs(KEYS) do
    if redis.call('INCR', key) == 1 then
      redis.call('PEXPIRE', key, ARGV[2 * i + 1])
    end
  end
end
return wait
