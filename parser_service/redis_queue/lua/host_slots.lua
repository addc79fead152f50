-- Slots of hosts: take one, free one, hand one to whoever waits.
-- Reads: ARGV[1] prefix, ARGV[4] slots of a host, ARGV[5] interval (ms) between the beginnings
-- of two requests, ARGV[6] lease of a slot (ms), ARGV[7] pause (ms) before a full host is
-- checked again, ARGV[8] ms for which a slot is kept for a ticket.
-- Defines: lease, latest (ms), busy_until(host), occupy(host, holder, ms), next_holder(),
-- hand_over(host, most).
-- @include clock
-- @include host_keys
-- @include parked
local limit, interval, lease = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local recheck, ticket_lease = tonumber(ARGV[7]), tonumber(ARGV[8])
-- A request is reserved at most a second early, so a slot is given that early, too: the line is
-- looked at once a second, and would else get one slot each time, however short the interval.
local early = recheck
-- No time of a host is later than this, unless the clock was set back.
local latest = now + interval + early
-- No slot is leased for longer, whatever another parser's deadline is, unless the clock was set back.
local longest = 2 * math.max(lease, 600000)

-- Return the next moment of a host that no slot has been given for.
local function next_moment(host)
    -- Slots and requests keep the interval each: a job may take long from its slot to its request.
    -- What somebody else wrote there is no time.
    local slot = tonumber(redis.call('GET', key(host, 'next'))) or 0
    local request = tonumber(redis.call('GET', key(host, 'begin'))) or 0
    local due = math.max(slot, request)
    if now < due and due <= latest then return due end
    return now
end

-- Return nil if the host may be entered, else the time at which to check it again.
local function busy_until(host)
    local slots = key(host, 'slots')
    redis.call('ZREMRANGEBYSCORE', slots, '-inf', now)
    redis.call('ZREMRANGEBYSCORE', slots, now + longest, '+inf')
    if redis.call('ZCARD', slots) >= limit then return now + recheck end
    if interval == 0 then return nil end
    local due = next_moment(host)
    if now + early < due then return due - early end
end

local function occupy(host, holder, ms)
    local slots = key(host, 'slots')
    redis.call('ZADD', slots, now + ms, holder)
    redis.call('PEXPIRE', slots, lease * 2)
    if interval > 0 then
        local after = next_moment(host) + interval
        redis.call('SET', key(host, 'next'), after, 'PX', after - now)
    end
end

-- Return a holder that no slot has. If the counter holds what is none, begin again far above all
-- earlier numbers.
local function next_holder()
    local number = redis.pcall('INCR', holders)
    if type(number) == 'table' then
        number = now
        redis.call('SET', holders, number)
    end
    return 'r' .. number
end

-- Give free slots to waiters of a host, to `most` at most: tickets first, because a client waits
-- for each.
local function hand_over(host, most)
    local tickets, waiting = key(host, 'tickets'), key(host, 'waiting')
    while redis.call('EXISTS', tickets, waiting) > 0 do
        local look_again = busy_until(host) or (most <= 0 and now + recheck)
        if look_again then
            redis.call('ZADD', hosts, look_again, host)
            return
        end
        most = most - 1
        local ticket = redis.call('LPOP', tickets)
        if ticket then
            occupy(host, ticket, ticket_lease)
        else
            -- Moved first and popped then: a key of another type loses no job and no slot.
            local job = redis.call('LINDEX', waiting, 0)
            local holder = next_holder()
            redis.call('RPUSH', ready, ready_message(holder, host, job))
            redis.call('LPOP', waiting)
            occupy(host, holder, lease)
        end
    end
    redis.call('ZREM', hosts, host)
end
