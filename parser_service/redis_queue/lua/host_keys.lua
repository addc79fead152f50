-- Names of the keys that host limits use; their twin in Python is keys.py.
-- Scripts build them here because one call may reach hosts that only Redis knows.
-- Reads: ARGV[1], the prefix of all names: TASK_QUEUE.
-- Defines: hosts, ready, holders, leases, key(host, what).
local prefix = ARGV[1]
local hosts, ready = prefix .. ':hosts', prefix .. ':ready'
local holders, leases = prefix .. ':holders', prefix .. ':leases'

local function key(host, what)
    return prefix .. ':host:' .. host .. ':' .. what
end
