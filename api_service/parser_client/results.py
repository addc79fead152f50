"""Take announced results from Redis, read them, and delete them once they are persisted.

A process takes announced results in three steps: it moves the announcements to a list of its
own, persists the results, and then deletes announcements and results together. If it dies in
between, its list stays behind with a lease that ends; the sweep then moves the announcements
back.
"""

from collections.abc import AsyncIterator, Sequence

import redis.asyncio as aioredis

from api_service.config import DEFAULT_LARGEST_RESULT_BYTES
from api_service.parser_client.keys import Keys
from api_service.parser_client.messages import (
    Result,
    ResultAnnouncement,
    UnreadableResult,
    log_and_make_too_large_result,
    log_and_make_unreadable_result,
    read_announcement,
    read_result,
)
from api_service.parser_client.scripts import read_script
from api_service.parser_client.wrong_type import is_wrong_type_error, raise_unless_wrong_type

TAKEN_ANNOUNCEMENTS_LEASE_SECONDS = 30
_TAKEN_LEASE_MS = TAKEN_ANNOUNCEMENTS_LEASE_SECONDS * 1000
SIZES_PER_READ = 1000
RESULT_HEADS_PER_READ = 100
"""Heads read in one round trip: one holds a page's metadata and may have 100 KiB."""
MAX_JSON_BYTES_READ_AS_HEAD = 4096
"""A longer result in plain JSON carries its page and is read on its own."""
MAX_HEAD_BYTES = 1024 * 1024
"""A longer head is not our parser's, and its result is read on its own."""
PORTION_BYTES = 16 * 1024 * 1024
"""Bytes of results that are read at a time, unless a single one has more."""


class ResultStore:
    """Take announcements of results from the reply list; read, announce and delete results.

    Args:
        name: this process's; announcements that it has taken are listed under it.
        largest: bytes of a result from which on it stays unread: it would take the memory of
            all others, and Redis's time.
    """

    def __init__(
        self,
        redis: aioredis.Redis,
        keys: Keys,
        *,
        name: str,
        largest: int = DEFAULT_LARGEST_RESULT_BYTES,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._name = name
        self._largest = largest
        self._taken = keys.taken_announcements(name)
        self._take_script = redis.register_script(read_script("take_announcements"))
        self._acknowledge_script = redis.register_script(read_script("acknowledge"))
        self._announce_script = redis.register_script(read_script("announce"))
        self._reclaim_script = redis.register_script(read_script("reclaim_announcements"))
        self._heads_script = redis.register_script(read_script("result_heads"))

    async def wait_and_take_announcement(self, seconds: float) -> None:
        """Wait until a result is announced, and take that announcement.

        It is read by `take_announcements`.

        Args:
            seconds: the longest wait; 0 for no limit.
        """
        await self._redis.execute_command(
            "BLMOVE", self._keys.reply_list, self._taken, "LEFT", "RIGHT", seconds
        )

    async def fill_up_taken_announcements(
        self, *, limit: int, max_bytes: int
    ) -> list[ResultAnnouncement]:
        """Return what this process has taken, filled up from the list within both limits.

        It stays this process's, and is returned again, until it is acknowledged. An announcement
        that cannot be read has the id 0.
        """
        keys = [self._keys.reply_list, self._taken, self._keys.announcement_takers]
        args: list[str | int] = [self._name, _TAKEN_LEASE_MS, limit, max_bytes]
        return [read_announcement(raw) for raw in await self._take_script(keys=keys, args=args)]

    async def acknowledge(
        self, announcements: Sequence[ResultAnnouncement], persisted: Sequence[int]
    ) -> None:
        """Delete announcements that were taken, and the results that have been persisted."""
        results = (self._keys.result(request_id) for request_id in persisted)
        size = sum(announcement.bytes for announcement in announcements)
        await self._acknowledge_script(
            keys=[self._taken, self._keys.reply_bytes, *results], args=[len(announcements), size]
        )

    async def announce(self, announcements: Sequence[ResultAnnouncement]) -> None:
        """Announce results of ours that are stored but on no list."""
        if announcements:
            messages = [announcement.model_dump_json() for announcement in announcements]
            size = sum(announcement.bytes for announcement in announcements)
            keys = [self._keys.reply_list, self._keys.reply_bytes]
            await self._announce_script(keys=keys, args=[size, *messages])

    async def return_announcements_of_dead_workers(self) -> int:
        """Move the announcements of dead takers back to the list; return how many.

        If nothing waits to be persisted, the count of its bytes becomes 0, whatever it was.
        """
        keys = [self._keys.reply_list, self._keys.announcement_takers, self._keys.reply_bytes]
        return int(
            await self._reclaim_script(keys=keys, args=[self._keys.taken_prefix, _TAKEN_LEASE_MS])
        )

    async def read(self, request_ids: Sequence[int]) -> dict[int, Result]:
        """Read the results that are stored for these requests.

        Whatever else stands under a key, also a hash or a list, is an `UnreadableResult`, and so
        is what is too large.
        """
        results: dict[int, Result] = {}
        async for portion in self.read_in_portions(request_ids):
            results |= portion
        return results

    async def read_in_portions(
        self, request_ids: Sequence[int]
    ) -> AsyncIterator[dict[int, Result]]:
        """Read results as `read` does, about `PORTION_BYTES` at a time.

        Announcements may lie about sizes, so Redis is asked for them first.
        """
        portion: list[int] = []
        size = 0
        wrong_types = []
        for request_id, length in zip(
            request_ids, await _read_sizes(self._redis, self._keys, request_ids), strict=True
        ):
            if length is None:
                wrong_types.append(request_id)
            elif length > self._largest:
                yield {request_id: log_and_make_too_large_result(length, request_id=request_id)}
            else:
                if portion and size + length > PORTION_BYTES:
                    yield await self._read_values(portion)
                    portion, size = [], 0
                portion.append(request_id)
                size += length
        if portion:
            yield await self._read_values(portion)
        if wrong_types:
            yield await self._log_and_replace_wrong_types(wrong_types)

    async def _read_values(self, request_ids: Sequence[int]) -> dict[int, Result]:
        values = await self._redis.mget([self._keys.result(i) for i in request_ids])
        return {
            i: read_result(value, request_id=i)
            for i, value in zip(request_ids, values, strict=True)
            if isinstance(value, bytes)
        }

    async def _log_and_replace_wrong_types(self, request_ids: Sequence[int]) -> dict[int, Result]:
        if not request_ids:
            return {}
        async with self._redis.pipeline(transaction=False) as pipe:
            for request_id in request_ids:
                pipe.type(self._keys.result(request_id))
            types = await pipe.execute()
        return {
            i: log_and_make_unreadable_result(f"its key holds a {name.decode()}", request_id=i)
            for i, name in zip(request_ids, types, strict=True)
            if name not in {b"none", b"string"}
        }

    async def delete_unannounced_results(self, request_ids: Sequence[int]) -> None:
        """Delete results that were never announced."""
        if request_ids:
            await self._redis.unlink(*(self._keys.result(i) for i in request_ids))

    async def stored_sizes(self, request_ids: Sequence[int]) -> dict[int, int]:
        """Return the size in bytes of each result that is stored for these requests."""
        found = {}
        for start in range(0, len(request_ids), SIZES_PER_READ):
            chunk = request_ids[start : start + SIZES_PER_READ]
            sizes = await _read_sizes(self._redis, self._keys, chunk)
            found.update({i: size or 1 for i, size in zip(chunk, sizes, strict=True) if size != 0})
        return found

    async def sizes_of_plain_json_results(self, request_ids: Sequence[int]) -> dict[int, int]:
        """Return the sizes of what is stored and is no result with appended HTML.

        That is our own parser's, which announces it.
        """
        async with self._redis.pipeline(transaction=False) as pipe:
            for request_id in request_ids:
                pipe.strlen(self._keys.result(request_id))
                pipe.getrange(self._keys.result(request_id), 0, 0)
            answers = await pipe.execute(raise_on_error=False)
        found = zip(
            request_ids, _sizes_with_wrong_types_as_1(answers[::2]), answers[1::2], strict=True
        )
        return {
            i: size
            for i, size, first in found
            if size and not (isinstance(first, bytes) and first.isdigit())
        }

    async def stored_tokens(self, request_ids: Sequence[int]) -> dict[int, str | None]:
        """Return, for each stored result that has one, the token of its attempt.

        The token of what cannot be read is None. The HTML stays in Redis, unless it is within
        the JSON.
        """
        tokens: dict[int, str | None] = {}
        for start in range(0, len(request_ids), RESULT_HEADS_PER_READ):
            chunk = request_ids[start : start + RESULT_HEADS_PER_READ]
            keys = [self._keys.result(request_id) for request_id in chunk]
            limits = [MAX_JSON_BYTES_READ_AS_HEAD, MAX_HEAD_BYTES, self._largest]
            heads = await self._heads_script(keys=keys, args=limits)
            for request_id, head in zip(chunk, heads, strict=True):
                if isinstance(head, bytes):
                    found = {request_id: read_result(head, request_id=request_id)}
                else:
                    found = await self.read([request_id]) if head else {}
                tokens |= {
                    i: result.token
                    for i, result in found.items()
                    if result.token or isinstance(result, UnreadableResult)
                }
        return tokens


async def _read_sizes(
    redis: aioredis.Redis, keys: Keys, request_ids: Sequence[int]
) -> list[int | None]:
    """Return the size of each value, 0 for an absent one, None for one of another type."""
    async with redis.pipeline(transaction=False) as pipe:
        for request_id in request_ids:
            pipe.strlen(keys.result(request_id))
        answers = await pipe.execute(raise_on_error=False)
    raise_unless_wrong_type(answers)
    return [None if is_wrong_type_error(size) else int(size) for size in answers]


def _sizes_with_wrong_types_as_1(answers: Sequence[object]) -> list[int]:
    """Return sizes of values, 1 for a value of another type; raise any other error."""
    raise_unless_wrong_type(answers)
    return [1 if is_wrong_type_error(size) else int(str(size)) for size in answers]
