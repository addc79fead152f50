"""Hash passwords with Argon2id, in threads of their own and a few at a time.

A hash takes 20 ms of a core and 19 MiB. Only as many are computed at once as there are threads, so
a storm of logins slows logins and leaves the event loop and the memory to everybody else.
"""

import asyncio
import os
import secrets
import unicodedata
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api_service.accounts.exceptions import PasswordsBusyError

T = TypeVar("T")

MEMORY_KIB, ROUNDS, LANES = 19_456, 2, 1
"""Parameters of Argon2id, as OWASP's Password Storage Cheat Sheet recommends them."""
MAX_WAITING = 300
"""Requests that wait for their turn; at 20 ms each, the last waits 6 s."""


def default_thread_count() -> int:
    """Return how many threads hash: half of the cores, so that the event loop keeps one."""
    return max(1, min(4, (os.cpu_count() or 1) // 2))


class Passwords:
    """Hash and check passwords of one event loop.

    Args:
        threads: hashes that are computed at once.
        rounds: of Argon2id; more make a hash cost more.
    """

    def __init__(self, *, threads: int | None = None, rounds: int = ROUNDS) -> None:
        count = threads or default_thread_count()
        self._hasher = PasswordHasher(time_cost=rounds, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="password")
        self._places = asyncio.Semaphore(count)
        self._waiting = 0
        # What is checked for an address without an account: the answer takes as long.
        self._nobodys_hash = self._hasher.hash(secrets.token_hex())

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until one of the threads is free, and keep it for the block.

        Raises:
            PasswordsBusyError: too many wait already.
        """
        if self._waiting >= MAX_WAITING:
            raise PasswordsBusyError
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    async def hash(self, password: str) -> str:
        """Return the hash to store; call it within a turn."""
        return await self._run(lambda: self._hasher.hash(_as_bytes(password)))

    async def matches(self, password: str, stored_hash: str | None) -> bool:
        """Return whether the password is the one of a hash; call it within a turn.

        It takes as long if there is no hash, or none that can be read.
        """
        return await self._run(lambda: self._matches(password, stored_hash))

    def is_outdated(self, stored_hash: str) -> bool:
        """Return whether a hash has other parameters than a new one would have."""
        return self._hasher.check_needs_rehash(stored_hash)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, password: str, stored_hash: str | None) -> bool:
        given = _as_bytes(password)
        try:
            if stored_hash is not None:
                return self._hasher.verify(stored_hash, given)
        except InvalidHashError:
            pass  # somebody else wrote the row
        except VerificationError:
            return False
        try:
            self._hasher.verify(self._nobodys_hash, given)
        except VerificationError:
            return False
        return False

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _as_bytes(password: str) -> bytes:
    """Write a password as the same bytes, however a keyboard composes its letters."""
    return unicodedata.normalize("NFKC", password).encode()
