"""Domain errors: each class has a stable code and an HTTP status; `main.py` renders them."""

from http import HTTPStatus
from typing import ClassVar


class ApiError(Exception):
    """What a client is told when a request cannot be served.

    Attributes:
        message: one sentence for the client.
        retry_after: seconds after which the client may ask again.
    """

    code: str
    http_status: ClassVar[HTTPStatus]
    message: str
    retry_after: ClassVar[int | None] = None

    def __init__(self, message: str | None = None) -> None:
        self.message = message or self.message
        super().__init__(self.message)


class NotFoundError(ApiError):
    """No request has this id."""

    code = "not_found"
    http_status = HTTPStatus.NOT_FOUND
    message = "There is no request with this id."


class DatabaseUnavailableError(ApiError):
    """PostgreSQL does not answer in time. Of a commit without an answer nothing is known."""

    code = "database_unavailable"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "The database does not answer at the moment."
    retry_after = 5


class QueueFullError(ApiError):
    """More requests wait than are allowed to. Nothing was stored."""

    code = "queue_full"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "Too many requests are waiting at the moment."
    retry_after = 10


class IdempotencyConflictError(ApiError):
    """The first request with this key is being accepted right now."""

    code = "idempotency_in_progress"
    http_status = HTTPStatus.CONFLICT
    message = "A request with this Idempotency-Key is being accepted; ask again in a moment."
    retry_after = 1


class IdempotencyMismatchError(ApiError):
    """The key was used for something else."""

    code = "idempotency_mismatch"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY
    message = "This Idempotency-Key was used for another request."


class ParserUnavailableError(ApiError):
    """The parser service does not answer, or not in time."""

    code = "parser_unavailable"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "The parser does not answer at the moment."
    retry_after = 5


class PageError(ApiError):
    """The page cannot be had; the code is of the parser's vocabulary.

    Attributes:
        retryable: whether trying again later may help.
        page_status: the page's own HTTP status, where that is the reason.
    """

    http_status = HTTPStatus.BAD_GATEWAY

    def __init__(
        self, message: str, *, code: str, retryable: bool, page_status: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.page_status = page_status


class InvalidUrlError(ApiError):
    """The URL is not one that can be fetched."""

    code = "invalid_url"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY
    message = "This is not an http or https URL that can be fetched."


class UnstorableError(Exception):
    """The database does not take a value: a mistake of whoever made it, not an outage."""


class SchemaOutdatedError(Exception):
    """The database is not at the newest migration: services refuse to start."""
