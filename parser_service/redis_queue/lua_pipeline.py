"""Call Lua scripts in Redis; calls made while a round trip is in flight share the next one."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import NoScriptError

Argument = str | bytes | int | float

MAX_CALLS_PER_BATCH = 100
"""Calls in one round trip."""
MAX_BYTES_PER_BATCH = 4 * 1024 * 1024
"""Bytes in one round trip above which no call joins it: each must end within a command's time."""


class ScriptPipeline:
    """Send the calls of one client's scripts, in the order in which they are made.

    The exception is a call whose script Redis does not know yet: it is sent again after the
    other calls of its round trip.
    """

    def __init__(self, redis: aioredis.Redis) -> None:
        self._redis = redis
        self._waiting: list[_Call] = []
        self._sending: asyncio.Task[None] | None = None

    def register(self, text: str) -> "Script":
        """Make a script that can be called."""
        return Script(self, text)

    async def call(
        self, script: "Script", keys: Sequence[str | bytes], args: Sequence[Argument]
    ) -> Any:
        """Run a script and return its answer.

        Raises:
            RedisError, OSError: Redis is unreachable or refuses.
            UnicodeEncodeError: an argument is no text. Only this call fails, not its neighbours.
        """
        parts = [part.encode() if isinstance(part, str) else part for part in (*keys, *args)]
        call = _Call(script, [script.sha, len(keys), *parts])
        self._waiting.append(call)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_until_none_waits())
        return await call.answer

    async def _send_until_none_waits(self) -> None:
        try:
            while self._waiting:
                await self._send(
                    [call for call in self._pop_next_batch() if not call.answer.done()]
                )
        finally:
            self._sending = None

    def _pop_next_batch(self) -> list["_Call"]:
        size = count = 0
        while count < min(MAX_CALLS_PER_BATCH, len(self._waiting)) and size < MAX_BYTES_PER_BATCH:
            size += self._waiting[count].size
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _send(self, batch: Sequence["_Call"]) -> None:
        try:
            unknown = await self._send_once(batch)
            if unknown:
                for text in {call.script.text for call in unknown}:
                    await self._redis.script_load(text)
                await self._send_once(unknown, is_last_try=True)
        except Exception as error:  # noqa: BLE001 - the callers decide
            for call in batch:
                call.fail(error)

    async def _send_once(
        self, batch: Sequence["_Call"], *, is_last_try: bool = False
    ) -> list["_Call"]:
        """Send calls; return those whose script Redis does not know."""
        if not batch:
            return []
        async with self._redis.pipeline(transaction=False) as pipe:
            for call in batch:
                pipe.execute_command("EVALSHA", *call.command)
            answers = await pipe.execute(raise_on_error=False)
        unknown = []
        for call, answer in zip(batch, answers, strict=True):
            if isinstance(answer, NoScriptError) and not is_last_try:
                unknown.append(call)
            elif isinstance(answer, Exception):
                call.fail(answer)
            elif not call.answer.done():  # else its caller gave up
                call.answer.set_result(answer)
        return unknown


class Script:
    """Call one script as a coroutine."""

    def __init__(self, pipeline: ScriptPipeline, text: str) -> None:
        self._pipeline = pipeline
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(
        self, keys: Sequence[str | bytes] = (), args: Sequence[Argument] = ()
    ) -> Any:
        """Run the script; see `ScriptPipeline.call`."""
        return await self._pipeline.call(self, keys, args)


@dataclass(slots=True)
class _Call:
    script: Script
    command: list[Argument]
    answer: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def size(self) -> int:
        """Return the bytes of the call, nearly: only arguments of type bytes are long."""
        return sum(len(part) for part in self.command if isinstance(part, bytes))

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
