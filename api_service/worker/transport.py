"""Celery's connection to Redis, made patient. Celery loads it by its name.

Celery ends its worker on errors that it does not know as passing. A Redis that is full, read-only
or loading its data gives such errors, and they pass: the worker then waits and reconnects, as it
does when Redis is unreachable.
"""

from kombu.transport.redis import Transport
from redis.exceptions import ResponseError


class PatientTransport(Transport):  # type: ignore[misc] # kombu carries no types
    """kombu's transport for Redis, treating an error reply as a broken connection."""

    connection_errors = (*Transport.connection_errors, ResponseError)
    channel_errors = tuple(e for e in Transport.channel_errors if e is not ResponseError)
