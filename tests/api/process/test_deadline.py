"""Giving up on work that is slow to stop."""

import asyncio
import gc

import pytest

from api_service.process.deadline import AbandoningTimeout
from tests.support.waiting import until


class _Stubborn:
    """Work that takes its time to break off, and then fails."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.was_cancelled = False
        self.has_ended = False

    async def run(self) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.was_cancelled = True
            await self.may_end.wait()
            self.has_ended = True
            raise OSError("the connection broke") from None


async def test_work_in_time_gives_its_outcome() -> None:
    deadline = AbandoningTimeout(5)

    async def works() -> int:
        return 42

    async def fails() -> int:
        raise LookupError

    assert await deadline.run(works()) == 42
    with pytest.raises(LookupError):
        await deadline.run(fails())


async def test_a_caller_does_not_wait_for_work_to_break_off_and_it_is_not_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    deadline, work = AbandoningTimeout(0.01), _Stubborn()
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError):
            await deadline.run(work.run())
        gc.collect()  # asyncio holds tasks weakly
        await asyncio.sleep(0)
        assert (work.was_cancelled, work.has_ended) == (True, False)
        work.may_end.set()
        await until(lambda: not deadline._abandoned)
    assert work.has_ended
    gc.collect()
    assert not caplog.records, "asyncio complains of an exception that was never retrieved"


async def test_a_caller_that_is_cancelled_cancels_the_work() -> None:
    deadline, work = AbandoningTimeout(60), _Stubborn()
    work.may_end.set()
    running = asyncio.create_task(deadline.run(work.run()))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: not deadline._abandoned)
    assert work.was_cancelled
