"""The Celery application: queues, limits and the beat schedule.

The entries in `worker/` run it, or Celery's command line. The environment and the list of
capabilities are read when the configuration is first needed, not when this module is imported.
"""

import sys
from datetime import datetime
from importlib import import_module
from time import monotonic
from typing import Any, ClassVar

from celery import Celery
from celery.schedules import crontab, schedstate, schedule
from celery.signals import setup_logging
from kombu import Queue

from api_service.config import Settings
from api_service.process import log

API_QUEUE = "api"
CONTROL_QUEUE = "api.control"
"""For the system's own short tasks: a backlog of requests must not delay them."""

HAND_OVER_TASK = "api.parse_url"
HAND_OVER_BATCH_TASK = "api.parse_urls"
CLEANUP_TASK = "api.cleanup_parse_requests"
PULSE_TASK = "api.pulse"
SWEEP_TASK = "api.sweep"

SHOWN_URL_OF_UNIX_SOCKET = "redis://localhost"
"""Stands for a Unix socket, whose path kombu would take for a database."""
SWEEP_PERIOD_SECONDS = 1.0
VISIBILITY_TIMEOUT_SECONDS = 60
"""Seconds after which a message that a dead worker had taken is delivered again."""


class CeleryWithUniqueTaskNames(Celery):  # type: ignore[misc] # Celery carries no types
    """Celery, which would take the first of two tasks of one name and say nothing."""

    _modules: ClassVar[dict[str, str]] = {}

    def task(self, *args: Any, **options: Any) -> Any:
        """Make a task of a function, as Celery does.

        Raises:
            SystemExit: a function of another module has its name.
        """
        if name := options.get("name"):
            module = sys._getframe(1).f_globals["__name__"]  # noqa: SLF001 - as `logging` does
            if self._modules.setdefault(name, module) != module:
                sys.exit(
                    f"{module} names a task {name!r}, as {self._modules[name]} does. Rename it."
                )
        return super().task(*args, **options)


class MonotonicInterval(schedule):  # type: ignore[misc] # Celery carries no types
    """A period by running time, whatever the time of day; the first is due at once."""

    _due_at = 0.0

    def is_due(self, last_run_at: datetime) -> schedstate:  # noqa: ARG002 - a time of day
        """Return whether it is due, and the seconds until the next look.

        If it is due, its next period begins.
        """
        if (left := self._due_at - monotonic()) > 0:
            return schedstate(is_due=False, next=left)
        self._due_at = monotonic() + self.seconds
        return schedstate(is_due=True, next=self.seconds)


def celery_key_prefix(settings: Settings) -> str:
    """Return what precedes Celery's keys, so that installations on one Redis keep theirs apart.

    The default installation has none: versions that run next to each other share these keys.
    """
    is_default = settings.task_queue == Settings.model_fields["task_queue"].default
    return "" if is_default else f"{settings.task_queue}:celery:"


def broker_options(settings: Settings) -> dict[str, Any]:
    """Return how to connect to Redis, for the transport in `worker/transport.py`."""
    return {
        "address": settings.redis_address,
        "global_keyprefix": celery_key_prefix(settings),
        "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
        # Without these two, a killed worker's message is delivered again minutes late.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }


def _load_configuration_or_exit() -> dict[str, Any]:
    settings = Settings.load_or_exit()
    address = settings.redis_address
    return {
        # For messages only: the connection is made from the options below.
        "broker_url": SHOWN_URL_OF_UNIX_SOCKET if address.medium == "unix" else address.shown,
        "broker_transport": "api_service.worker.transport:ReconnectingTransport",
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": broker_options(settings),
        "task_default_queue": API_QUEUE,
        "task_queues": [Queue(API_QUEUE), Queue(CONTROL_QUEUE)],
        "task_routes": {
            CLEANUP_TASK: {"queue": CONTROL_QUEUE},
            PULSE_TASK: {"queue": CONTROL_QUEUE},
            SWEEP_TASK: {"queue": CONTROL_QUEUE},
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
        "service_name": "worker",  # ours, for logs; beat's entry says otherwise
        "timezone": "UTC",
        "enable_utc": True,
        "beat_scheduler": "api_service.worker.scheduler:MonotonicScheduler",
        **_task_modules_and_schedule(),
    }


def _task_modules_and_schedule() -> dict[str, Any]:
    """List the modules with tasks, and what beat sends: the core's, then the capabilities'.

    Raises:
        SystemExit: two capabilities, or two entries of the schedule, have one name.
    """
    # By its name, as all that Celery loads from above this module.
    listed = import_module("api_service.capabilities")
    listed.exit_on_wrong_names(listed.CAPABILITIES)
    modules = ["api_service.worker.worker_process", "api_service.tasks"]
    schedule = _beat_schedule()
    for capability in listed.CAPABILITIES:
        modules += capability.task_modules
        if taken := schedule.keys() & capability.beat_schedule.keys():
            sys.exit(
                f"The capability {capability.name!r} names an entry of beat's schedule "
                f"{min(taken)!r}, as another does. Rename it."
            )
        schedule |= capability.beat_schedule
    return {"imports": modules, "beat_schedule": schedule}


def _beat_schedule() -> dict[str, Any]:
    return {
        "cleanup": {
            "task": CLEANUP_TASK,
            "schedule": crontab(hour="0", minute="0"),
        },
        "sweep": {
            "task": SWEEP_TASK,
            # No `expires`: worker and beat clocks may differ. A backlog of sweeps is skipped
            # cheaply, see `tasks.py`.
            "schedule": MonotonicInterval(SWEEP_PERIOD_SECONDS),
        },
    }


celery_app = CeleryWithUniqueTaskNames("page_parser", set_as_current=True)
celery_app.add_defaults(_load_configuration_or_exit)


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    """Set up logs in Celery's place, so that its lines have the form of ours."""
    log.configure(celery_app.conf.service_name, Settings.load_or_exit().log_level)
