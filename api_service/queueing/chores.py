"""Share periodic chores among all workers of a deployment."""

import redis.asyncio as aioredis

from api_service.parser_client.keys import Keys


class PeriodicChores:
    """Let one worker at a time do a chore, at most once in a while.

    Args:
        name: this process's; the key of a claim holds it, to be seen when debugging.
    """

    def __init__(self, redis: aioredis.Redis, keys: Keys, *, name: str) -> None:
        self._redis = redis
        self._keys = keys
        self._name = name

    async def try_claim(self, chore: str, *, every: float) -> bool:
        """Claim a chore unless a worker claimed it within the last `every` seconds."""
        key = self._keys.chore_cooldown(chore)
        return bool(await self._redis.set(key, self._name, nx=True, px=int(every * 1000)))

    async def postpone(self, chore: str, *, seconds: float) -> None:
        """Have no worker claim a chore for some seconds from now on."""
        key = self._keys.chore_cooldown(chore)
        await self._redis.set(key, self._name, px=int(seconds * 1000))
