"""The Celery application: queues, limits and the beat schedule.

`worker.py` and `beat.py` run it, or Celery's command line. The environment is read when
the configuration is first needed, not when this module is imported.
"""

import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import after_task_publish, beat_init, setup_logging
from kombu import Queue

from api_service.config import Settings
from api_service.metrics import beat as metrics
from api_service.metrics import exposition
from api_service.process import log
from api_service.worker.scheduler import MonotonicInterval

API_QUEUE = "api"
CONTROL_QUEUE = "api.control"
"""For the system's own short tasks, which a backlog of requests must not delay."""

PARSE_URL = "api.parse_url"
PARSE_URLS = "api.parse_urls"
CLEANUP = "api.cleanup_parse_requests"
PULSE = "api.pulse"
SWEEP = "api.sweep"

SWEEP_SECONDS = 1.0
VISIBILITY_SECONDS = 60
"""After this long a message that a dead worker had taken is delivered again."""


def _configuration() -> dict[str, Any]:
    settings = Settings.load()
    return {
        "broker_url": settings.redis_url,
        "broker_transport": "api_service.worker.transport:PatientTransport",
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_SECONDS,
            # Without these two a message of a killed worker comes back minutes late.
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        "task_default_queue": API_QUEUE,
        "task_queues": [Queue(API_QUEUE), Queue(CONTROL_QUEUE)],
        "task_routes": {
            CLEANUP: {"queue": CONTROL_QUEUE},
            PULSE: {"queue": CONTROL_QUEUE},
            SWEEP: {"queue": CONTROL_QUEUE},
        },
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        "task_send_sent_event": False,
        "worker_prefetch_multiplier": 8,
        "worker_send_task_events": False,
        "worker_enable_remote_control": False,
        "timezone": "UTC",
        "enable_utc": True,
        "imports": ["api_service.tasks"],
        "beat_scheduler": "api_service.worker.scheduler:SteadyScheduler",
        "beat_schedule": {
            "cleanup": {
                "task": CLEANUP,
                "schedule": crontab(hour="0", minute="0"),
            },
            "sweep": {
                "task": SWEEP,
                # No `expires`: the worker's clock need not agree with beat's. Sweeps that have
                # piled up while no worker was there cost it next to nothing, see `tasks.py`.
                "schedule": MonotonicInterval(SWEEP_SECONDS),
            },
        },
    }


celery_app = Celery("page_parser", set_as_current=True)
celery_app.add_defaults(_configuration)


@after_task_publish.connect
def _show_beat(**_: Any) -> None:
    """Show, in a file for who started it, that beat does publish; others have no such file."""
    if path := os.environ.get("BEAT_ALIVE_FILE"):
        Path(path).touch()


@beat_init.connect
def _show_metrics(**_: Any) -> None:
    settings = Settings.load()
    exposition.serve(metrics.REGISTRY, host=settings.metrics_host, port=settings.metrics_port)
    after_task_publish.connect(_count_published, weak=False)  # in beat alone


def _count_published(sender: str, **_: Any) -> None:
    metrics.task_published(sender)


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    """Take Celery's place in setting up logs, so that its lines are ours in form."""
    is_beat = "beat" in (Path(sys.argv[0]).stem, *sys.argv)
    log.configure("beat" if is_beat else "worker", Settings.load().log_level)
