"""Let time pass at once: make everything that is stored with a time older.

So "45 seconds later" costs a test nothing, and the product keeps its real limits.
"""

import asyncpg
import redis.asyncio as aioredis

from tests.support.keys import QUEUE

OLDER_ROWS = """
    UPDATE parse_requests
    SET created_at = created_at - $1::interval, updated_at = updated_at - $1::interval,
        next_attempt_at = next_attempt_at - $1::interval,
        suspect_since = suspect_since - $1::interval
    WHERE status IN ('pending', 'processing')
"""

# Scores of sorted sets are milliseconds: of leases, takers, hosts to check, and slots.
OLDER_KEYS = """
local older = tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', ARGV[2] .. ':*')) do
    if redis.call('TYPE', key).ok == 'zset' then
        for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
            redis.call('ZINCRBY', key, -older, member)
        end
    end
    local left = redis.call('PTTL', key)
    if left > 0 then redis.call('PEXPIRE', key, left - older) end
end
"""


async def pass_time(connection: asyncpg.Connection, redis: aioredis.Redis, seconds: float) -> None:
    """Make unfinished rows and all keys of the queue older."""
    await connection.execute(OLDER_ROWS.replace("$1::interval", f"interval '{seconds} seconds'"))
    await older_keys(redis, seconds)


async def older_keys(redis: aioredis.Redis, seconds: float) -> None:
    """Make all keys of the queue older."""
    await redis.eval(OLDER_KEYS, 0, int(seconds * 1000), QUEUE)
