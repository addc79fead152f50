"""Publish Celery tasks, by name, after the commit. The only module that publishes.

kombu publishes in blocking calls and retries while Redis is unreachable, so it runs in a thread,
one call at a time: what arrives meanwhile goes out together, next. Callers give up after a
moment; the sweep finds what could not be published, for its row is there.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from celery import Celery
from kombu import Connection

from api_service.celery_app import API_QUEUE, HAND_OVER_BATCH_TASK, HAND_OVER_TASK
from api_service.metrics import api as metrics
from api_service.queueing.batching import Batcher

MAX_REQUESTS_PER_MESSAGE = 100
"""Requests in one message."""

log = structlog.get_logger()


class TaskSender:
    """Sends tasks in blocking calls over one connection that tries once and gives up in time.

    Args:
        broker_options: in place of the application's own.
        timeout: seconds for connecting, and for each command.
    """

    def __init__(
        self, app: Celery, *, timeout: float, broker_options: Mapping[str, Any] | None = None
    ) -> None:
        self._app = app
        self._broker_options = broker_options
        self._timeout = timeout
        self._connection: Connection | None = None

    def send(
        self,
        name: str,
        *,
        queue: str,
        args: Sequence[Any] = (),
        headers: Mapping[str, Any] | None = None,
    ) -> None:
        """Send one task, or raise what kombu raises and reconnect for the next."""
        if self._connection is None:
            self._connection = self._make_connection()
        try:
            with self._connection.Producer() as producer:
                self._app.send_task(
                    name,
                    args=args,
                    queue=queue,
                    headers=headers or {},
                    producer=producer,
                    retry=False,
                )
        except Exception:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        """Close the connection; the next call opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.release()

    def _make_connection(self) -> Connection:
        # kombu's own limits let it try for ever.
        limits = {
            "socket_timeout": self._timeout,
            "socket_connect_timeout": self._timeout,
            "connect_retries_timeout": self._timeout,
            "max_retries": 0,
        }
        options = self._broker_options or self._app.conf.broker_transport_options
        return self._app.connection_for_write(transport_options={**options, **limits})


@dataclass(frozen=True, slots=True)
class _RequestToPublish:
    request_id: int
    url: str
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class _TaskToSend:
    name: str
    args: Sequence[Any]
    queue: str
    trace_id: str | None


class Publisher:
    """Publishes tasks without ever blocking the event loop.

    Args:
        timeout: seconds after which a caller goes on without its publication.
    """

    def __init__(
        self, app: Celery, *, timeout: float, broker_options: Mapping[str, Any] | None = None
    ) -> None:
        self._sender = TaskSender(app, timeout=timeout, broker_options=broker_options)
        self._batcher = Batcher(
            self._send_requests_in_thread, limit=MAX_REQUESTS_PER_MESSAGE, timeout=timeout
        )
        # Apart from the requests: a task that cannot be sent must not take them along.
        self._task_sender = TaskSender(app, timeout=timeout, broker_options=broker_options)
        self._tasks = Batcher(self._send_task_in_thread, limit=1, timeout=timeout)

    async def publish_request(self, request_id: int, url: str, trace_id: str | None) -> bool:
        """Have a worker hand a request to the parsers; return whether that was sent in time."""
        try:
            await self._batcher.submit(_RequestToPublish(request_id, url, trace_id))
        except Exception as error:  # noqa: BLE001 - whatever it is, the row is there
            metrics.TASKS_UNPUBLISHED.inc()
            log.warning("task not published", request_id=request_id, error=repr(error)[:200])
            return False
        return True

    async def send(
        self,
        name: str,
        args: Sequence[Any] = (),
        *,
        queue: str = API_QUEUE,
        trace_id: str | None = None,
    ) -> bool:
        """Send a task of a capability, after the commit; return whether that was done in time.

        A message can be lost. What must be done is in a row of the capability, where its periodic
        task finds it.

        Args:
            name: the task's.
            args: values that JSON has a form for, such as the ids of rows.
            queue: of the workers that run it.
            trace_id: of the request that asked for it; a header of the message.
        """
        try:
            await self._tasks.submit(_TaskToSend(name, args, queue, trace_id))
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("task not published", task=name, error=repr(error)[:200])
            return False
        return True

    async def close(self) -> None:
        """Wait for what is being sent, and disconnect."""
        await asyncio.gather(self._batcher.drain(), self._tasks.drain())
        await asyncio.to_thread(self._sender.disconnect)
        await asyncio.to_thread(self._task_sender.disconnect)

    async def _send_task_in_thread(self, tasks: Sequence[_TaskToSend]) -> Sequence[None]:
        [task] = tasks
        headers = {"trace_id": task.trace_id}
        await asyncio.to_thread(
            self._task_sender.send, task.name, queue=task.queue, args=task.args, headers=headers
        )
        return [None]

    async def _send_requests_in_thread(self, batch: Sequence[_RequestToPublish]) -> Sequence[None]:
        await asyncio.to_thread(self._send_requests_message, batch)
        return [None] * len(batch)

    def _send_requests_message(self, batch: Sequence[_RequestToPublish]) -> None:
        """Send one message, for one request or for all that came meanwhile."""
        match batch:
            case [one]:
                self._sender.send(
                    HAND_OVER_TASK,
                    queue=API_QUEUE,
                    args=[one.request_id, one.url],
                    headers={"trace_id": one.trace_id},
                )
            case _:
                ids = [item.request_id for item in batch]
                # In a header: a worker of an older version knows one argument only.
                trace_ids = [item.trace_id for item in batch]
                self._sender.send(
                    HAND_OVER_BATCH_TASK,
                    queue=API_QUEUE,
                    args=[ids],
                    headers={"trace_ids": trace_ids},
                )
