"""Run the parser's other entrance: jobs from a Redis list (`jobs/listener.py`).

Run as `python -m parser_service.redis_listener`. SIGTERM and SIGINT stop it cleanly.
"""

import asyncio
import os
import signal
import socket
import sys

import structlog
import uvloop

from parser_service import log as logging_setup
from parser_service.config import Settings
from parser_service.dependencies import open_listener
from parser_service.exceptions import CannotStartError

log = structlog.get_logger()


async def serve(settings: Settings) -> None:
    """Run a listener until SIGTERM or SIGINT."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    async with open_listener(settings, name=name) as listener:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, listener.stop)
        log.info("listening", queue=settings.task_queue, concurrency=settings.fetch_concurrency)
        await listener.run()


def main() -> None:
    """Start this process."""
    settings = Settings.load_or_exit()
    logging_setup.configure("listener", settings.log_level)
    try:
        uvloop.run(serve(settings))
    except CannotStartError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
