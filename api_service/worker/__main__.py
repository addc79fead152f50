"""The Celery worker's process. Run as `python -m api_service.worker`.

It does what `celery -A api_service.celery_app worker --pool=solo --queues=api,api.control` does.
Without Celery's command line, its imports stay out of memory.
"""

import sys

from api_service.celery_app import API_QUEUE, CONTROL_QUEUE, celery_app


def main() -> None:
    """The process's entry.

    One process that does one thing at a time: a task takes about a millisecond, because none
    waits for a page. More come from more replicas.
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
