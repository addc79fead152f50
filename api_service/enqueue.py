"""Publishing Celery tasks, by name, after the commit. The only place that publishes.

kombu publishes in blocking calls and retries while Redis is away, so it runs in a thread of
its own, one at a time: what arrives meanwhile goes out together, next. Waiting callers give
up after a moment; what could not be published is found by the sweep, for its row is there.
"""

import asyncio
import contextlib
import threading
from dataclasses import dataclass

import structlog
from celery import Celery
from kombu import Connection

from api_service.celery_app import API_QUEUE, CONTROL_QUEUE, PARSE_URL, PULSE

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Publication:
    request_id: int
    url: str
    trace_id: str | None
    sent: asyncio.Future[None]


class Publisher:
    """Publishes tasks without ever blocking the event loop.

    Args:
        timeout: seconds that one publication may take, until its caller goes on without.
    """

    def __init__(self, app: Celery, *, timeout: float) -> None:
        self._app = app
        self._timeout = timeout
        self._waiting: list[_Publication] = []
        self._sender: asyncio.Task[None] | None = None
        self._connection: Connection | None = None

    async def parse_url(self, request_id: int, url: str, trace_id: str | None) -> bool:
        """Publish `api.parse_url`; whether it was published in time."""
        sent = asyncio.get_running_loop().create_future()
        self._waiting.append(_Publication(request_id, url, trace_id, sent))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all())
        try:
            async with asyncio.timeout(self._timeout):
                await sent
        except Exception as error:  # noqa: BLE001 - whatever it is, the row is there
            log.warning("task not published", request_id=request_id, error=repr(error)[:200])
            return False
        return True

    async def close(self) -> None:
        """Wait for what is being sent, and disconnect."""
        if self._sender is not None:
            await asyncio.wait([self._sender], timeout=self._timeout)
        if self._connection is not None:
            await asyncio.to_thread(self._disconnect)

    async def _send_all(self) -> None:
        try:
            while batch := [item for item in self._waiting if not item.sent.done()]:
                self._waiting.clear()
                error: Exception | None = None
                try:
                    await asyncio.to_thread(self._send, batch)
                except Exception as caught:  # noqa: BLE001 - the callers decide
                    error = caught
                for item in batch:
                    if item.sent.done():
                        continue
                    if error is None:
                        item.sent.set_result(None)
                    else:
                        item.sent.set_exception(error)
        finally:
            self._waiting.clear()
            self._sender = None

    def _send(self, batch: list[_Publication]) -> None:
        if self._connection is None:
            self._connection = _connection(self._app, timeout=self._timeout)
        try:
            with self._connection.Producer() as producer:
                for item in batch:
                    self._app.send_task(
                        PARSE_URL,
                        args=[item.request_id, item.url],
                        queue=API_QUEUE,
                        headers={"trace_id": item.trace_id},
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
                            expires=10,
                            producer=producer,
                            retry=False,
                        )
                        self._stopping.wait(self.PERIOD)
            except Exception as error:  # noqa: BLE001 - it tries again as long as it lives
                log.warning("pulse not published", error=repr(error)[:200])
                self._stopping.wait(self.PERIOD)
