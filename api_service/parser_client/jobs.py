"""Push jobs to the parsers."""

from collections.abc import Sequence

import redis.asyncio as aioredis

from api_service.parser_client.keys import Keys
from api_service.parser_client.messages import Job

JOBS_PER_PUSH = 1000


class JobPusher:
    """Push jobs onto the list from which parsers take them.

    Attributes:
        reply_list: where parsers announce the results of our jobs.
    """

    def __init__(self, redis: aioredis.Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self.reply_list = keys.reply_list

    async def push(self, jobs: Sequence[Job]) -> None:
        """Append jobs to the list, in this order."""
        for start in range(0, len(jobs), JOBS_PER_PUSH):
            chunk = jobs[start : start + JOBS_PER_PUSH]
            messages = [job.model_dump_json(exclude_none=True) for job in chunk]
            await self._redis.rpush(self._keys.task_queue, *messages)
