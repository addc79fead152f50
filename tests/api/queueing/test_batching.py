"""Concurrent calls that share a batch."""

import asyncio
from collections.abc import Sequence

import pytest

from api_service.queueing.batching import Batcher


class Work:
    """Doubles numbers, a batch at a time, when it is allowed to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.allowed = asyncio.Event()
        self.allowed.set()
        self.error: Exception | None = None

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(items))
        await self.allowed.wait()
        if self.error:
            raise self.error
        return [2 * item for item in items]


async def test_a_lone_item_runs_at_once() -> None:
    work = Work()
    assert await Batcher(work, limit=10, timeout=5).submit(4) == 8
    assert work.batches == [[4]]


async def test_what_arrives_while_a_batch_runs_is_the_next_in_order_and_bounded() -> None:
    work = Work()
    batcher = Batcher(work, limit=3, timeout=5)
    work.allowed.clear()
    first = asyncio.create_task(batcher.submit(0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.create_task(batcher.submit(number)) for number in range(1, 6)]
    await asyncio.sleep(0)
    work.allowed.set()
    assert await asyncio.gather(first, *others) == [0, 2, 4, 6, 8, 10]
    assert work.batches == [[0], [1, 2, 3], [4, 5]]


async def test_an_error_reaches_every_caller_of_its_batch_and_no_later_one() -> None:
    work = Work()
    batcher = Batcher(work, limit=10, timeout=5)
    work.error = ValueError("no")
    outcomes = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no", "no"]
    work.error = None
    assert await batcher.submit(3) == 6


async def test_a_caller_that_gave_up_is_not_run_and_harms_no_other() -> None:
    work = Work()
    batcher = Batcher(work, limit=10, timeout=0.05)
    work.allowed.clear()
    results = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
    assert all(isinstance(result, TimeoutError) for result in results)
    waiting = asyncio.create_task(batcher.submit(3))
    with pytest.raises(TimeoutError):
        await waiting
    work.allowed.set()
    await batcher.drain()
    assert await batcher.submit(4) == 8
    assert [3] not in work.batches
