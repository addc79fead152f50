#!lua flags=allow-oom
-- Take jobs from two lists, the first before the second, and lease those that have a token.
-- Leased first and popped then: a script that fails in between has lost nothing.
-- What is taken is kept until the next call and is returned again if its reply was lost;
-- otherwise jobs of a live parser would look abandoned.
-- KEYS: 1 the list of ready jobs, 2 the list of jobs, 3 leases, 4 what this parser took last.
-- ARGV: 1 jobs to take at most, 2 lease (ms), 3 the one list to look in: 1, 2, or 0 for both,
--       4 number of this call, 5 number of the last call whose reply arrived.
-- Returns two lists of messages.
-- allow-oom: jobs must leave a Redis that is full; leases take little memory.
-- @include clock
-- @include parked
local SECONDS_KEPT = 60

local function token_of(list, raw)
    local ok, job = pcall(cjson.decode, list == 1 and job_in_ready_message(raw) or raw)
    local token = ok and type(job) == 'table' and job.token
    return type(token) == 'string' and token
end
local function lease(found)
    for list = 1, 2 do
        for _, raw in ipairs(found[list]) do
            local token = token_of(list, raw)
            if token then redis.call('ZADD', KEYS[3], now + ARGV[2], token) end
        end
    end
end

-- Kept are the number of the call, how many messages are from the first list, and all of them.
-- The call may be an earlier one, or one that was made later and arrived before this one.
local taking, limit, only = KEYS[4], tonumber(ARGV[1]), tonumber(ARGV[3])
local kept = redis.call('LRANGE', taking, 0, -1)
local found = {{}, {}}
if kept[1] and tonumber(kept[1]) > tonumber(ARGV[5]) then
    for i = 3, #kept do
        local list = i - 2 <= tonumber(kept[2]) and 1 or 2
        table.insert(found[list], kept[i])
    end
    redis.call('LSET', taking, 0, ARGV[4])
    lease(found)
    return found
end
redis.call('DEL', taking)
for list = 1, 2 do
    if limit > 0 and (only == 0 or only == list) then
        found[list] = redis.call('LRANGE', KEYS[list], 0, limit - 1)
        limit = limit - #found[list]
    end
end
lease(found)
if #found[1] + #found[2] == 0 then return found end
redis.call('RPUSH', taking, ARGV[4], #found[1])
redis.call('EXPIRE', taking, SECONDS_KEPT)
for list = 1, 2 do
    for _, raw in ipairs(found[list]) do redis.call('RPUSH', taking, raw) end
    if #found[list] > 0 then redis.call('LPOP', KEYS[list], #found[list]) end
end
return found
