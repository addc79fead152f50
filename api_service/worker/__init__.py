"""The processes next to HTTP: Celery's worker, the results process, and Celery's beat.

Run them as `python -m api_service.worker`, `… -m api_service.worker.results` and
`… -m api_service.worker.beat SCHEDULE`.
"""
