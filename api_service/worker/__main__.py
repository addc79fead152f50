"""The Celery worker's process. Run as `python -m api_service.worker`.

It does what `celery -A api_service.celery_app worker --pool=solo --queues=api,api.control` does.
Without Celery's command line, that part's imports stay out of memory.
"""

import sys

from api_service.celery_app import API_QUEUE, CONTROL_QUEUE, celery_app


def main() -> None:
    """Start the process with the tasks of the core and of every capability.

    It does one thing at a time: a task takes about a millisecond, because none waits for a page.
    More throughput comes from more replicas.
    """
    worker = celery_app.Worker(
        pool_cls="solo",
        queues=[API_QUEUE, CONTROL_QUEUE],
        loglevel="WARNING",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    sys.exit(worker.exitcode)


if __name__ == "__main__":
    main()
