"""Count the results that wait in Redis until their producers have persisted them."""

from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import ResponseError

from parser_service.redis_queue.keys import Keys, unpersisted_bytes_key

MAX_COUNTED_REPLY_LISTS = 100
"""Reply lists that are counted at a time; a producer may name a new one in each job."""

MAX_COUNT_DIGITS = 19
"""Of a number that Redis itself counts."""


class ReplyLists:
    """Remember the reply lists of finished jobs, and count what was announced on them.

    The API's own list is counted from the start. Its worker takes announcements off the list
    before it persists their results, so its count of bytes always holds. Another producer may
    not know that it must lower that count: its bytes are counted only while announcements are
    on its list, so that it cannot stop all parsers for good.
    """

    def __init__(self, redis: aioredis.Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._others: dict[str, int] = {}
        """Results stored for each other list, in the order in which the lists were last used."""

    def remember(self, reply_list: str) -> None:
        """Count this list from now on, in place of the one that was not used for longest."""
        if reply_list == self._keys.api_reply_list:
            return
        self._others[reply_list] = self._others.pop(reply_list, 0) + 1
        if len(self._others) > MAX_COUNTED_REPLY_LISTS:
            del self._others[next(iter(self._others))]

    async def unpersisted_bytes(self) -> int:
        """Return the bytes of results that were announced and are not persisted yet.

        Lists of other producers that have none are forgotten.

        Raises:
            RedisError, OSError: Redis is unreachable or refuses.
        """
        size = await self._api_unpersisted_bytes()
        if not self._others:
            return size
        others = dict(self._others)
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in others:
                pipe.exists(name)
                pipe.get(unpersisted_bytes_key(name))
            # Keys of other producers may hold anything: an error counts as nothing.
            answers = await pipe.execute(raise_on_error=False)
        for name, exists, count in zip(others, answers[::2], answers[1::2], strict=True):
            if exists == 1 and (waiting := _size_or_zero(count)):
                size += waiting
            elif self._others.get(name) == others[name]:  # else it was used again meanwhile
                del self._others[name]
        return size

    async def _api_unpersisted_bytes(self) -> int:
        try:
            return _size_or_zero(await self._redis.get(self._keys.api_unpersisted_bytes))
        except ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            return 0  # the worker deletes the key with the next result


def _size_or_zero(answer: Any) -> int:
    is_size = isinstance(answer, bytes) and answer.isdigit() and len(answer) <= MAX_COUNT_DIGITS
    return int(answer) if is_size else 0
