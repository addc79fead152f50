"""Answers wait for memory, get it in turn, and give it back."""

import asyncio
import gc

import pytest

from api_service.edge.answer_memory import PIECE_BYTES, SMALL_ANSWER_BYTES, AnswerMemory, HeldAnswer
from api_service.edge.exceptions import AnswerMemoryFullError
from api_service.edge.held_response import HeldResponse

LIMIT = 10 * PIECE_BYTES


async def _make(memory: AnswerMemory, size: int, *, one_at_a_time: bool = False) -> HeldAnswer:
    async def body() -> bytes:
        return b"x" * size

    return await memory.wait_and_make(size, body, one_at_a_time=one_at_a_time)


async def test_an_answer_without_room_is_refused_in_time() -> None:
    memory = AnswerMemory(LIMIT, timeout=0.1)
    held = await _make(memory, LIMIT)
    with pytest.raises(AnswerMemoryFullError):
        await _make(memory, 2 * PIECE_BYTES)
    held.drop()
    held.drop()
    (await _make(memory, LIMIT)).drop()


async def test_small_answers_need_no_room() -> None:
    memory = AnswerMemory(LIMIT, timeout=0.1)
    held = await _make(memory, LIMIT)
    small = await memory.wait_and_hold(b"x" * SMALL_ANSWER_BYTES)
    assert b"".join(small.take_pieces()) == b"x" * SMALL_ANSWER_BYTES
    held.drop()


async def test_each_piece_makes_room_when_it_is_taken() -> None:
    memory = AnswerMemory(LIMIT, timeout=5)
    held = await _make(memory, LIMIT)
    waiting = asyncio.create_task(_make(memory, 3 * PIECE_BYTES))
    for taken, _ in enumerate(held.take_pieces()):
        if taken == 3:
            break
        await asyncio.sleep(0)
        assert not waiting.done()
    (await waiting).drop()


async def test_an_answer_larger_than_the_limit_comes_alone() -> None:
    memory = AnswerMemory(LIMIT, timeout=0.1)
    huge = await _make(memory, 3 * LIMIT)
    assert huge.size == 3 * LIMIT
    with pytest.raises(AnswerMemoryFullError):
        await _make(memory, 2 * PIECE_BYTES)
    huge.drop()
    (await _make(memory, 2 * PIECE_BYTES)).drop()


async def test_what_was_larger_than_announced_counts_in_full() -> None:
    memory = AnswerMemory(LIMIT, timeout=0.1)

    async def body() -> bytes:
        return b"x" * LIMIT

    held = await memory.wait_and_make(0, body, one_at_a_time=False)
    with pytest.raises(AnswerMemoryFullError):
        await _make(memory, 2 * PIECE_BYTES)
    held.drop()


@pytest.mark.parametrize("one_at_a_time", [True, False])
async def test_a_failure_and_a_cancellation_give_everything_back(*, one_at_a_time: bool) -> None:
    memory = AnswerMemory(LIMIT, timeout=1)

    async def fail() -> bytes:
        await asyncio.sleep(0.01)
        raise ValueError

    with pytest.raises(ValueError):
        await memory.wait_and_make(LIMIT, fail, one_at_a_time=one_at_a_time)
    held = await _make(memory, LIMIT, one_at_a_time=one_at_a_time)
    waiting = [
        asyncio.create_task(_make(memory, LIMIT, one_at_a_time=one_at_a_time)) for _ in range(3)
    ]
    await asyncio.sleep(0)
    waiting[0].cancel()
    held.drop()
    waiting[1].cancel()  # in the moment of its turn
    (await waiting[2]).drop()
    (await _make(memory, LIMIT, one_at_a_time=one_at_a_time)).drop()


async def test_an_answer_that_nobody_sends_gives_its_room_back() -> None:
    memory = AnswerMemory(LIMIT, timeout=0.1)
    await _make(memory, LIMIT)
    gc.collect()
    (await _make(memory, LIMIT)).drop()


async def test_a_broken_off_response_gives_its_room_back() -> None:
    memory = AnswerMemory(LIMIT, timeout=0.1)
    response = HeldResponse(await _make(memory, LIMIT))

    async def send(message: object) -> None:
        if "body" in str(message)[:40]:
            raise OSError

    async def receive() -> dict[str, object]:
        return {}

    with pytest.raises(OSError):
        await response({"type": "http"}, receive, send)
    (await _make(memory, LIMIT)).drop()
