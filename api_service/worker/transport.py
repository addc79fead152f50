"""Celery's connection to Redis: patient, and made from the same address as ours.

Celery loads it by its name. Celery ends its worker on errors that it does not know as passing. A
Redis that is full, read-only or loading its data gives such errors, and they pass: the worker then
waits and reconnects, as it does when Redis is unreachable.

kombu takes the kind of a connection from the scheme of a URL, unless a transport is named; then it
speaks plain TCP, also for `rediss://`. Here it reads no URL: the connection is made from the
`RedisAddress` in the option `address`.

Celery also ends its worker on a message that it cannot read, such as one that was written by half.
Here such a message is logged and deleted. If it stood for a request, the sweep publishes another.
"""

from time import time
from typing import Any

import redis
import structlog
from kombu.exceptions import InconsistencyError
from kombu.transport.redis import Channel, QoS, Transport
from redis.exceptions import DataError, RedisError, ResponseError

from api_service.redis_address import RedisAddress

CONNECTION_CLASS_BY_MEDIUM = {
    "tcp": redis.Connection,
    "tls": redis.SSLConnection,
    "unix": redis.UnixDomainSocketConnection,
}
TCP_ONLY_OPTIONS = ("host", "port", "socket_keepalive", "socket_keepalive_options")
UNREADABLE = "message deleted: unreadable"

log = structlog.get_logger()


class ForgivingQoS(QoS):  # type: ignore[misc] # kombu carries no types
    """kombu's record of the messages that workers have taken, whatever stands in it."""

    def restore_visible(self, start: int = 0, num: int | None = 10, interval: int = 10) -> None:
        """Return messages that were taken long ago, or, by the index, long from now.

        kombu would never look at the latter: a clock was set back, or somebody else wrote them.
        """
        super().restore_visible(start, num, interval)
        with self.channel.conn_or_acquire() as client:
            latest = time() + self.visibility_timeout
            # kombu gives no number where it looks at all.
            page = {"start": 0, "num": num} if num else {}
            for tag in client.zrangebyscore(self.unacked_index_key, latest, "+inf", **page):
                self.restore_by_tag(tag, client)

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's own
        """Return a message to its queue; delete one that has none, or is none."""
        try:
            super().restore_by_tag(tag, client=client, leftmost=leftmost)
        except Exception as error:
            if _is_of_the_connection(error):
                raise
            log.error(UNREADABLE, tag=str(tag)[:200], error=repr(error)[:200])
            self._remove_from_indices(tag).execute()


class ForgivingChannel(Channel):  # type: ignore[misc] # kombu carries no types
    """kombu's channel, connected to our address, where any bytes may stand in a queue."""

    QoS = ForgivingQoS
    address: RedisAddress
    from_transport_options = (*Channel.from_transport_options, "address")

    @property
    def connection_class(self) -> type:
        """The class that kombu makes connections of."""
        return CONNECTION_CLASS_BY_MEDIUM[self.address.medium]

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except (ValueError, RecursionError) as error:
            # Not JSON. What is JSON has come through `_deliver` below, which raises neither.
            log.error(UNREADABLE, error=repr(error)[:200])
            return True

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - kombu's own
        params: dict[str, Any] = super()._connparams(asynchronous=asynchronous)
        if self.address.medium == "unix":
            for name in TCP_ONLY_OPTIONS:
                params.pop(name, None)
        return {**params, **self.address.options}


class ReconnectingTransport(Transport):  # type: ignore[misc] # kombu carries no types
    """kombu's transport for Redis, treating an error reply as a broken connection."""

    Channel = ForgivingChannel
    connection_errors = (*Transport.connection_errors, ResponseError)
    channel_errors = tuple(e for e in Transport.channel_errors if e is not ResponseError)

    def _deliver(self, message: Any, queue: str) -> None:
        try:
            super()._deliver(message, queue)
        except Exception as error:
            # Also for a KeyError, which kombu counts as a broken connection: it would reconnect,
            # take the same message again, and never come to the next one.
            if _is_of_the_connection(error):
                raise
            log.error(UNREADABLE, queue=queue, error=repr(error)[:200])
            self._let_go(message)

    def _let_go(self, message: Any) -> None:
        """Acknowledge it, if it could be read far enough to be recorded as taken."""
        match message:
            case {"properties": {"delivery_tag": str() | int() as tag}}:
                for channel in self.channels:
                    channel.qos.ack(tag)


def _is_of_the_connection(error: Exception) -> bool:
    """Return whether it would have come with another message as well."""
    # DataError: the client found a member that it cannot send.
    return isinstance(error, RedisError | OSError | InconsistencyError) and not isinstance(
        error, DataError
    )
