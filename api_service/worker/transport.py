"""Celery's connection to Redis: patient, and made from the same address as ours.

Celery loads it by its name. Celery ends its worker on errors that it does not know as passing. A
Redis that is full, read-only or loading its data gives such errors, and they pass: the worker then
waits and reconnects, as it does when Redis is unreachable.

kombu takes the kind of a connection from the scheme of a URL, unless a transport is named; then it
speaks plain TCP, also for `rediss://`. Here it reads no URL: the connection is made from the
`RedisAddress` in the option `address`.
"""

from typing import Any

import redis
from kombu.transport.redis import Channel, Transport
from redis.exceptions import ResponseError

from api_service.redis_address import RedisAddress

CONNECTION_CLASS_BY_MEDIUM = {
    "tcp": redis.Connection,
    "tls": redis.SSLConnection,
    "unix": redis.UnixDomainSocketConnection,
}
TCP_ONLY_OPTIONS = ("host", "port", "socket_keepalive", "socket_keepalive_options")


class AddressedChannel(Channel):  # type: ignore[misc] # kombu carries no types
    """kombu's channel, connected to our address."""

    address: RedisAddress
    from_transport_options = (*Channel.from_transport_options, "address")

    @property
    def connection_class(self) -> type:
        """The class that kombu makes connections of."""
        return CONNECTION_CLASS_BY_MEDIUM[self.address.medium]

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - kombu's own
        params: dict[str, Any] = super()._connparams(asynchronous=asynchronous)
        if self.address.medium == "unix":
            for name in TCP_ONLY_OPTIONS:
                params.pop(name, None)
        return {**params, **self.address.options}


class ReconnectingTransport(Transport):  # type: ignore[misc] # kombu carries no types
    """kombu's transport for Redis, treating an error reply as a broken connection."""

    Channel = AddressedChannel
    connection_errors = (*Transport.connection_errors, ResponseError)
    channel_errors = tuple(e for e in Transport.channel_errors if e is not ResponseError)
