"""How long a snapshot is shared, by a clock that the test turns."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest
import redis.asyncio as aioredis

from api_service.database import Database
from api_service.database_address import read_database_url
from api_service.endings.wakeups import EndingListener
from api_service.operation.gauge_metrics import GaugeSnapshot
from api_service.operation.gauges import MAX_SNAPSHOT_SECONDS, MIN_SNAPSHOT_SECONDS, Gauges
from api_service.parser_client.census import QueueDepths, RedisCensus
from api_service.queueing.unfinished import UnfinishedCount


class _SlowCensus:
    """Takes some seconds of the clock for an answer."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seconds = 0.0
        self.asked = 0

    def clock(self) -> float:
        return self.now

    async def read_depths(self) -> QueueDepths:
        self.asked += 1
        self.now += self.seconds
        return QueueDepths(0, 0, 0, 0, 0, 0)

    async def count_alive_parsers_and_workers(self) -> tuple[int, int]:
        return 1, 1


@pytest.fixture
def census() -> _SlowCensus:
    return _SlowCensus()


@pytest.fixture
def read(
    census: _SlowCensus, database: Database, database_url: str, redis: aioredis.Redis
) -> Callable[[], asyncio.Task[GaugeSnapshot]]:
    listener = EndingListener(read_database_url(database_url))
    gauges = Gauges(
        unfinished=UnfinishedCount(database, listener, limit=10),
        census=cast("RedisCensus", census),
        redis=redis,
        limit=10,
        clock=census.clock,
    )
    return lambda: asyncio.create_task(gauges.read())


async def test_a_snapshot_is_kept_for_a_moment(
    census: _SlowCensus, read: Callable[[], asyncio.Task[GaugeSnapshot]]
) -> None:
    first = await read()
    census.now += MIN_SNAPSHOT_SECONDS - 0.01
    assert await read() is first
    census.now += 0.02
    assert await read() is not first
    assert census.asked == 2


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [(0.01, MIN_SNAPSHOT_SECONDS), (0.2, 2.0), (0.4, 4.0), (60, MAX_SNAPSHOT_SECONDS)],
)
async def test_a_slow_snapshot_is_kept_ten_times_as_long_as_it_took(
    census: _SlowCensus,
    read: Callable[[], asyncio.Task[GaugeSnapshot]],
    seconds: float,
    kept: float,
) -> None:
    census.seconds = seconds
    first = await read()
    census.now += kept - 0.01
    assert await read() is first
    census.now += 0.02
    assert await read() is not first


async def test_concurrent_scrapes_share_one_snapshot(
    census: _SlowCensus, read: Callable[[], asyncio.Task[GaugeSnapshot]]
) -> None:
    snapshots = await asyncio.gather(*(read() for _ in range(20)))
    assert len({id(snapshot) for snapshot in snapshots}) == 1
    assert census.asked == 1
