"""The results process: persists results in batches. Run as `python -m api_service.worker.results`.

It runs next to Celery in the service `worker`: an endless Celery task would never let SIGTERM
finish. It also watches that Celery consumes, and serves the metrics of both.
"""

import asyncio
import signal
import sys

import structlog
import uvloop

from api_service.assembly.worker import open_worker
from api_service.config import Settings
from api_service.exceptions import ApiError, CannotStartError
from api_service.metrics import exposition
from api_service.metrics import worker as metrics
from api_service.process import log as logging_setup
from api_service.worker.result_loop import build_result_loop

CHORES_STOP_SECONDS = 1.0
"""Seconds that a stop waits for a chore to break off."""

log = structlog.get_logger()


async def run_until_signalled(settings: Settings) -> None:
    """Run the loop until SIGTERM or SIGINT."""
    async with open_worker(settings) as context:
        loop = build_result_loop(
            context,
            own_alive_file=settings.results_alive_file,
            celery_alive_file=settings.alive_file,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, loop.request_stop)
        log.info("waiting for results")
        chores = asyncio.create_task(context.owner_chores.run())
        try:
            await loop.run()
        finally:
            chores.cancel()
            await asyncio.wait({chores}, timeout=CHORES_STOP_SECONDS)


def main() -> None:
    """Start the process."""
    settings = Settings.load_or_exit()
    logging_setup.configure("results", settings.log_level)
    exposition.serve(metrics.REGISTRY, host=settings.metrics_host, port=settings.metrics_port)
    try:
        uvloop.run(run_until_signalled(settings))
    except (CannotStartError, ApiError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
