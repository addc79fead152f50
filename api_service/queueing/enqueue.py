"""Publishing Celery tasks, by name, after the commit. The only place that publishes.

kombu publishes in blocking calls and retries while Redis is away, so it runs in a thread of
its own, one at a time: what arrives meanwhile goes out together, next. Waiting callers give
up after a moment; what could not be published is found by the sweep, for its row is there.
"""

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from celery import Celery
from kombu import Connection

from api_service.celery_app import API_QUEUE, CONTROL_QUEUE, PARSE_URL, PARSE_URLS, PULSE
from api_service.metrics import api as metrics
from api_service.queueing.batching import Batcher

BATCH = 100

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Publication:
    request_id: int
    url: str
    trace_id: str | None


class Publisher:
    """Publishes tasks without ever blocking the event loop.

    Args:
        timeout: seconds that one publication may take, until its caller goes on without.
    """

    def __init__(self, app: Celery, *, timeout: float) -> None:
        self._app = app
        self._timeout = timeout
        self._batcher = Batcher(self._send_in_thread, most=BATCH, timeout=timeout)
        self._connection: Connection | None = None

    async def parse_url(self, request_id: int, url: str, trace_id: str | None) -> bool:
        """Have a request handed to the parsers; whether that was published in time."""
        try:
            await self._batcher.ask(_Publication(request_id, url, trace_id))
        except Exception as error:  # noqa: BLE001 - whatever it is, the row is there
            metrics.UNPUBLISHED.inc()
            log.warning("task not published", request_id=request_id, error=repr(error)[:200])
            return False
        return True

    async def close(self) -> None:
        """Wait for what is being sent, and disconnect."""
        await self._batcher.close()
        if self._connection is not None:
            await asyncio.to_thread(self._disconnect)

    async def _send_in_thread(self, batch: Sequence[_Publication]) -> Sequence[None]:
        await asyncio.to_thread(self._send, batch)
        return [None] * len(batch)

    def _send(self, batch: Sequence[_Publication]) -> None:
        """One message, for one request or for all that came meanwhile."""
        if self._connection is None:
            self._connection = _connection(self._app, timeout=self._timeout)
        match batch:
            case [one]:
                name, args = PARSE_URL, [one.request_id, one.url]
                headers = {"trace_id": one.trace_id}
            case _:
                name, args = PARSE_URLS, [[item.request_id for item in batch]]
                headers = {}
        try:
            with self._connection.Producer() as producer:
                self._app.send_task(
                    name,
                    args=args,
                    queue=API_QUEUE,
                    headers=headers,
                    producer=producer,
                    retry=False,
                )
        except Exception:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.release()


def _connection(app: Celery, *, timeout: float) -> Connection:
    """A broker connection that tries once and gives up in time: kombu's own tries for ever."""
    limits = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "connect_retries_timeout": timeout,
        "max_retries": 0,
    }
    return app.connection_for_write(transport_options=app.conf.broker_transport_options | limits)


class PulsePublisher:
    """Publishes the task `api.pulse` every few seconds, from a thread of the worker.

    A worker has been seen to live on without consuming after its connection broke. That it
    consumes is shown by its running tasks, and this sees to it that there always is one.
    """

    PERIOD = 2.0

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def stop(self) -> None:
        """Publish no more."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with (
                    _connection(self._app, timeout=self.PERIOD) as connection,
                    connection.Producer() as producer,
                ):
                    while not self._stopping.is_set():
                        self._app.send_task(
                            PULSE,
                            queue=CONTROL_QUEUE,
                            producer=producer,
                            retry=False,
                        )
                        self._stopping.wait(self.PERIOD)
            except Exception as error:  # noqa: BLE001 - it tries again as long as it lives
                log.warning("pulse not published", error=repr(error)[:200])
                self._stopping.wait(self.PERIOD)
