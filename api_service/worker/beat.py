"""Celery beat: sends scheduled tasks. Run as `python -m api_service.worker.beat SCHEDULE`.

It does what `celery -A api_service.celery_app beat` does. Beat runs no tasks, so it does not
import them: without them and Celery's command line it takes half the memory.
"""

import asyncio
import sys

from api_service.celery_app import celery_app
from api_service.config import Settings
from api_service.exceptions import CannotStartError
from api_service.process.redis_connection import open_redis, raise_if_redis_refuses

MAX_SLEEP_SECONDS = 60
"""Longest sleep of beat, in seconds, before it looks at its schedule again."""
START_CHECK_TIMEOUT_SECONDS = 3
"""Seconds that a starting beat waits for an answer of Redis."""


def main() -> None:
    """Start the process; its argument is the file that keeps when each task was last sent."""
    if len(sys.argv) != 2:
        sys.exit("Name the file that keeps when each task was last sent, as the only argument.")
    try:
        asyncio.run(_raise_if_redis_refuses(Settings.load_or_exit()))
    except CannotStartError as error:
        sys.exit(str(error))
    celery_app.conf.imports = ()
    celery_app.conf.service_name = "beat"
    celery_app.Beat(
        schedule=sys.argv[1], max_interval=MAX_SLEEP_SECONDS, loglevel="WARNING", quiet=True
    ).run()


async def _raise_if_redis_refuses(settings: Settings) -> None:
    async with open_redis(settings.redis_address, timeout=START_CHECK_TIMEOUT_SECONDS) as redis:
        await raise_if_redis_refuses(redis)


if __name__ == "__main__":
    main()
