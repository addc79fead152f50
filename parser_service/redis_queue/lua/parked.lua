-- The message of a job whose host has a slot for it; its twin in Python is jobs/parked.py.
-- Three lines: the slot's holder, the host, and the job as it was parked, an object of JSON
-- whose member `job` is the job's own message.
-- Defines: ready_message(holder, host, parked), job_in_ready_message(message).
local function ready_message(holder, host, parked)
    return holder .. '\n' .. host .. '\n' .. parked
end

-- Return the job's own message, or '' if it cannot be read.
local function job_in_ready_message(message)
    local parked = string.match(message, '^[^\n]*\n[^\n]*\n(.*)$')
    local ok, progress = pcall(cjson.decode, parked or '')
    return ok and type(progress) == 'table' and progress.job or ''
end
