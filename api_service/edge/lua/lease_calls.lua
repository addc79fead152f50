#!lua
-- Leases some of the requests that a user may send in a window, which begins with the first one.
-- Without allow-oom: if Redis has no memory left, processes count for themselves.
--
-- KEYS: 1 the counter of the user's requests
-- ARGV: 1 the limit
--       2 requests wanted
--       3 milliseconds of a window
-- Returns the requests leased, those counted in all, and the milliseconds until the window ends.
local used = tonumber(redis.call('GET', KEYS[1]) or 0)
local leased = math.max(0, math.min(tonumber(ARGV[2]), tonumber(ARGV[1]) - used))
if leased > 0 then
  used = redis.call('INCRBY', KEYS[1], leased)
end
local left = redis.call('PTTL', KEYS[1])
if left == -2 then -- nothing was counted: a limit of zero
  left = tonumber(ARGV[3])
elseif left == -1 then -- new; also, a counter without an end would refuse its user for ever
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  left = tonumber(ARGV[3])
end
return {leased, used, left}
