"""Count the results that wait in Redis until their producers have persisted them."""

from typing import Any

import redis.asyncio as aioredis

from parser_service.redis_queue.keys import reply_bytes

MAX_REMEMBERED = 100
"""Reply lists that are counted at a time; a producer may name a new one in each job."""


class ReplyLists:
    """Remember the reply lists of finished jobs, and count what was announced on them.

    The API's own list is counted from the start. Its worker takes announcements off the list
    before it persists their results, so its count of bytes always holds. Another producer may
    not know that it must lower that count: its bytes are counted only while announcements are
    on its list, so that it cannot stop all parsers for good.

    Args:
        api_reply_list: the list of our own API.
    """

    def __init__(self, redis: aioredis.Redis, *, api_reply_list: str) -> None:
        self._redis = redis
        self._api_reply_list = api_reply_list
        self._others: dict[str, None] = {}  # in the order in which they were last used

    def remember(self, reply_list: str) -> None:
        """Count this list from now on, in place of the one that was not used for longest."""
        if reply_list == self._api_reply_list:
            return
        self._others.pop(reply_list, None)
        self._others[reply_list] = None
        if len(self._others) > MAX_REMEMBERED:
            del self._others[next(iter(self._others))]

    async def unpersisted_bytes(self) -> int:
        """Return the bytes of results that were announced and are not persisted yet.

        Raises:
            RedisError, OSError: Redis is unreachable or refuses.
        """
        size = _size(await self._redis.get(reply_bytes(self._api_reply_list)))
        if not self._others:
            return size
        others = list(self._others)
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in others:
                pipe.exists(name)
                pipe.get(reply_bytes(name))
            # Keys of other producers may hold anything: an error counts as nothing.
            answers = await pipe.execute(raise_on_error=False)
        for name, is_there, count in zip(others, answers[::2], answers[1::2], strict=True):
            if is_there == 1 and (waiting := _size(count)):
                size += waiting
            else:
                self._others.pop(name, None)
        return size


def _size(answer: Any) -> int:
    return int(answer) if isinstance(answer, bytes) and answer.isdigit() else 0
