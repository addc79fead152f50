"""Bound the memory of answers that clients have not read yet."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from api_service.edge.exceptions import AnswerMemoryFullError

SMALL_ANSWER_BYTES = 64 * 1024
"""Bytes up to which an answer is not counted: the server and the kernel take it whole."""
PIECE_BYTES = 64 * 1024
"""Bytes of an answer that the server gets at a time."""
GROWTH_BYTES = 1024 * 1024
"""Bytes of room that an answer of unknown size gets at a time."""
MAX_MEMORY_WAIT_SECONDS = 4.0
"""Seconds that a request waits for memory before it is refused."""


class HeldAnswer:
    """Hold an answer's body until it is sent, in pieces that are freed one by one."""

    def __init__(self, body: bytes, *, memory: "AnswerMemory", share: int) -> None:
        self.size = len(body)
        self._memory = memory
        self._share = share
        self._pieces = deque(
            body[start : start + PIECE_BYTES] for start in range(0, len(body), PIECE_BYTES)
        )

    def take_pieces(self) -> Iterator[bytes]:
        """Take the pieces; the memory of each is free once the next one is asked for."""
        while self._pieces:
            piece = self._pieces.popleft()
            yield piece
            self._give_back(min(self._share, len(piece)))

    def drop(self) -> None:
        """Free the rest. It may be called again."""
        self._pieces.clear()
        self._give_back(self._share)

    def __del__(self) -> None:
        # An answer that never got to its client must not keep its share for ever.
        self._give_back(self._share)

    def _give_back(self, size: int) -> None:
        if size:
            self._share -= size
            self._memory.give_back(size)


class AnswerMemory:
    """Let answers into memory up to a number of bytes; the others wait for their turn.

    Args:
        limit: bytes of all answers. A larger one is let in alone.
        timeout: seconds that an answer waits at most.
    """

    def __init__(self, limit: int, *, timeout: float = MAX_MEMORY_WAIT_SECONDS) -> None:
        self._limit = limit
        self._free = limit
        self._timeout = timeout
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._making = asyncio.Lock()

    async def wait_and_hold(self, body: bytes) -> HeldAnswer:
        """Hold a body that is already there, once there is room for it.

        Raises:
            AnswerMemoryFullError: the memory did not become free in time.
        """
        if len(body) <= SMALL_ANSWER_BYTES:
            return HeldAnswer(body, memory=self, share=0)
        share = await self._acquire_share(len(body))
        return HeldAnswer(body, memory=self, share=share)

    async def wait_and_make(
        self, size: int, make_body: Callable[[], Awaitable[bytes]], *, one_at_a_time: bool
    ) -> HeldAnswer:
        """Make a body once there is room for it, and hold it.

        Args:
            size: bytes that the body will have, about.
            make_body: makes it.
            one_at_a_time: because making it takes several times its size.

        Raises:
            AnswerMemoryFullError: the memory did not become free in time.
            Exception: what making the body raised.
        """
        share = await self._acquire_share(size, one_at_a_time=one_at_a_time)
        try:
            body = await make_body()
        except BaseException:
            self.give_back(share)
            raise
        finally:
            if one_at_a_time:
                self._making.release()
        return self._hold_in_place_of(share, body)

    async def wait_and_collect(
        self, pieces: AsyncIterator[bytes], make_body: Callable[[bytes], Awaitable[bytes]]
    ) -> HeldAnswer:
        """Collect a body of unknown size, with room for what has come, and hold it.

        Args:
            pieces: what comes; the next one is not asked for before there is room.
            make_body: makes the body of all pieces.

        Raises:
            AnswerMemoryFullError: the memory did not become free in time.
            Exception: what the pieces or making the body raised.
        """
        share = 0
        collected = bytearray()
        try:
            async for piece in pieces:
                collected += piece
                if len(collected) > max(share, SMALL_ANSWER_BYTES):
                    # Alone in the memory, it may outgrow it.
                    share += await self._acquire_share(min(GROWTH_BYTES, self._limit - share))
            body = await make_body(bytes(collected))
        except BaseException:
            self.give_back(share)
            raise
        return self._hold_in_place_of(share, body)

    def _hold_in_place_of(self, share: int, body: bytes) -> HeldAnswer:
        """Hold a body for which a share was taken by a guess: JSON escapes some characters."""
        actual = len(body) if len(body) > SMALL_ANSWER_BYTES else 0
        self.give_back(share - actual)
        return HeldAnswer(body, memory=self, share=actual)

    def give_back(self, size: int) -> None:
        """Free bytes, for those who wait; a negative number takes them without waiting."""
        self._free += size
        while self._waiting and self._waiting[0][0] <= self._free:
            wanted, turn = self._waiting.popleft()
            if not turn.done():  # else it was given up in the same moment
                self._free -= wanted
                turn.set_result(None)

    async def _acquire_share(self, size: int, *, one_at_a_time: bool = False) -> int:
        """Wait for a share of the memory; if `one_at_a_time`, also take the lock `_making`.

        The caller releases the lock.
        """
        wanted = min(size, self._limit)
        taken = 0
        try:
            async with asyncio.timeout(self._timeout):
                await self._acquire_bytes(wanted)
                taken = wanted
                if one_at_a_time:
                    await self._making.acquire()
        except BaseException as error:
            self.give_back(taken)
            if isinstance(error, TimeoutError):
                raise AnswerMemoryFullError from error
            raise
        return wanted

    async def _acquire_bytes(self, wanted: int) -> None:
        """Wait in turn for free bytes, and take them; the caller limits the wait."""
        if not self._waiting and wanted <= self._free:
            self._free -= wanted
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, turn))
        try:
            await turn
        except asyncio.CancelledError:
            came = turn.done() and not turn.cancelled()  # in the same moment
            if not came:
                self._waiting = deque(entry for entry in self._waiting if entry[1] is not turn)
            self.give_back(wanted if came else 0)
            raise
