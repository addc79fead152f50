"""Find the jobs of dead parsers: a parser leases each job of ours and renews the lease."""

from collections.abc import Sequence

import redis.asyncio as aioredis

from api_service.parser_client.keys import Keys
from api_service.parser_client.redis_members import decode_redis_member, encode_redis_member
from api_service.parser_client.scripts import read_script

MAX_LEASE_SECONDS = 600
"""Seconds that no parser's lease exceeds; ours take 15."""


class Leases:
    """Find and delete leases that parsers no longer renew; a lease goes by its job's token."""

    def __init__(self, redis: aioredis.Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = [keys.leases, keys.expired_leases]
        self._expired_script = redis.register_script(read_script("expired_leases"))

    async def note_and_find_expired_tokens(self, *, after_ms: int, limit: int) -> list[str]:
        """Return tokens whose lease ended and was not renewed for another `after_ms`.

        The first call that finds an ended lease only notes it: after a pause of Redis itself
        all leases have ended at once, and live parsers need a moment to renew them. A foreign token
        may be any text, see `members.py`.
        """
        found = await self._expired_script(
            keys=self._keys, args=[after_ms, limit, MAX_LEASE_SECONDS * 1000]
        )
        return [decode_redis_member(token) for token in found]

    async def drop(self, tokens: Sequence[str]) -> None:
        """Delete the leases, and the notes that they ended, of tokens that have been dealt with."""
        if tokens:
            members = [encode_redis_member(token) for token in tokens]
            async with self._redis.pipeline(transaction=True) as pipe:
                for key in self._keys:
                    pipe.zrem(key, *members)
                await pipe.execute()
