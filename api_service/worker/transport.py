"""Celery's connection to Redis, made patient.

Celery ends its worker on errors that it does not know as passing ones. A Redis that is full,
read-only or loading its data gives such errors, and passes: the worker then waits and connects
anew, as it does when Redis is away.
"""

from kombu.transport.redis import Transport
from redis.exceptions import ResponseError


class PatientTransport(Transport):  # type: ignore[misc] # kombu carries no types
    """kombu's transport for Redis, for which an error reply is a broken connection."""

    connection_errors = (*Transport.connection_errors, ResponseError)
    channel_errors = tuple(e for e in Transport.channel_errors if e is not ResponseError)
