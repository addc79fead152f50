"""Hashing: a few at a time, and for everybody at the same cost."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from api_service.accounts import passwords as module
from api_service.accounts.exceptions import PasswordsBusyError
from api_service.accounts.passwords import Passwords


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    opened = Passwords(threads=2)
    yield opened
    opened.close()


async def test_the_right_password_matches(passwords: Passwords) -> None:
    stored = await passwords.hash("seven wet owls")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.matches("seven wet owls", stored)
    assert not await passwords.matches("seven wet owl", stored)
    assert not passwords.is_outdated(stored)


async def test_a_letter_composed_otherwise_is_the_same(passwords: Passwords) -> None:
    stored = await passwords.hash("gr\u00fcn gr\u00fcn gr\u00fcn")
    assert await passwords.matches("gru\u0308n gru\u0308n gru\u0308n", stored)


@pytest.mark.parametrize("stored", [None, "", "nonsense", "$argon2id$v=19$m=1$x"])
async def test_nothing_matches_what_is_no_hash(passwords: Passwords, stored: str | None) -> None:
    assert not await passwords.matches("seven wet owls", stored)


async def test_hashes_are_computed_a_few_at_a_time(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most = 0, 0
    lock, go = threading.Lock(), threading.Event()

    def slow(_password: str) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(0.01)
        with lock:
            running -= 1
        return b"seven wet owls"

    monkeypatch.setattr(module, "_as_bytes", slow)

    async def hash_once() -> None:
        async with passwords.turn():
            await passwords.hash("x")

    await asyncio.gather(*(hash_once() for _ in range(20)))
    assert most == 2


async def test_too_many_that_wait_are_refused(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    release = asyncio.Event()

    async def hold() -> None:
        async with passwords.turn():
            await release.wait()

    holders = [asyncio.create_task(hold()) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(PasswordsBusyError):
        await hold()
    holders[-1].cancel()  # a client that went away makes room
    await asyncio.wait([holders[-1]])
    waiter = asyncio.create_task(hold())
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*holders[:-1], waiter)


async def test_the_event_loop_turns_while_passwords_are_hashed(passwords: Passwords) -> None:
    async def hash_once() -> None:
        async with passwords.turn():
            await passwords.hash("seven wet owls")

    hashing = asyncio.gather(*(hash_once() for _ in range(10)))
    turns = 0
    while not hashing.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 20  # hashing on the loop would leave it one turn for each hash
