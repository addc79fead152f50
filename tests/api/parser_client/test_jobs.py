"""Jobs are pushed in order, however many they are."""

import json

import redis.asyncio as aioredis

from api_service.parser_client.jobs import JOBS_PER_PUSH, JobPusher
from api_service.parser_client.keys import Keys
from api_service.parser_client.messages import Job
from tests.support.keys import DONE, QUEUE, RESULTS
from tests.support.pipeline_steps import URL


async def test_jobs_are_pushed_in_order(redis: aioredis.Redis) -> None:
    jobs = JobPusher(redis, Keys(QUEUE, RESULTS))
    assert jobs.reply_list == DONE
    numbers = range(1, 2 * JOBS_PER_PUSH + 2)
    await jobs.push([Job(id=i, url=URL, token=f"{i}-a", reply=DONE) for i in numbers])
    await jobs.push([])
    pushed = [json.loads(raw) for raw in await redis.lrange(QUEUE, 0, -1)]
    assert [job["id"] for job in pushed] == list(numbers)
    assert pushed[0] == {"id": 1, "url": URL, "token": "1-a", "reply": DONE}
