"""A lease counts as ended only if it stays ended for a while."""

from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from api_service.parser_client.keys import Keys
from api_service.parser_client.leases import Leases
from tests.support.keys import QUEUE, RESULTS
from tests.support.time_travel import older_keys

KEYS = Keys(QUEUE, RESULTS)


@pytest.fixture
async def raw(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


async def _lease(redis: aioredis.Redis, *tokens: str, seconds: float = 15) -> None:
    now, _ = await redis.time()
    await redis.zadd(KEYS.leases, dict.fromkeys(tokens, (now + seconds) * 1000))


async def _expired(leases: Leases, limit: int = 9) -> list[str]:
    return sorted(await leases.note_and_find_expired_tokens(after_ms=5000, limit=limit))


async def test_an_ended_lease_is_noted_first_and_counts_later(raw: aioredis.Redis) -> None:
    leases = Leases(raw, KEYS)
    await _lease(raw, "1-a", "2-a", "3-a")
    await _lease(raw, "9-a", seconds=100)
    assert await _expired(leases) == []
    await older_keys(raw, 20)
    assert await _expired(leases) == []
    await _lease(raw, "3-a")
    await older_keys(raw, 6)
    assert await _expired(leases) == ["1-a", "2-a"]
    assert len(await _expired(leases, limit=1)) == 1


async def test_dropped_leases_and_their_notes_are_gone(raw: aioredis.Redis) -> None:
    leases = Leases(raw, KEYS)
    await _lease(raw, "1-a", "2-a", seconds=-1)
    await _expired(leases)
    await older_keys(raw, 6)
    await leases.drop([])
    await leases.drop(await _expired(leases))
    assert not await raw.exists(KEYS.leases, KEYS.expired_leases)
