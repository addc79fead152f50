"""Celery beat: sends scheduled tasks. Run as `python -m api_service.worker.beat SCHEDULE`.

It does what `celery -A api_service.celery_app beat` does. Beat runs no tasks, so it does not
import them: without them and Celery's command line it takes half the memory.
"""

import sys

from api_service.celery_app import celery_app

MAX_INTERVAL = 60
"""Longest sleep in seconds."""


def main() -> None:
    """Start the process; its argument is the file that keeps when each task was last sent."""
    if len(sys.argv) != 2:
        sys.exit("Name the file that keeps when each task was last sent, as the only argument.")
    celery_app.conf.imports = ()
    celery_app.conf.service_name = "beat"
    celery_app.Beat(
        schedule=sys.argv[1], max_interval=MAX_INTERVAL, loglevel="WARNING", quiet=True
    ).run()


if __name__ == "__main__":
    main()
