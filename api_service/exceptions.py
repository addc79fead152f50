"""Define the errors: each has a stable code and an HTTP status; `edge/problems.py` renders them."""

from http import HTTPStatus
from typing import ClassVar

PAGE_ERROR_CODES = frozenset(
    {
        "invalid_url",
        "blocked_address",
        "dns_error",
        "connect_error",
        "tls_error",
        "timeout",
        "too_large",
        "too_many_redirects",
        "http_status",
        "unsupported_content_type",
        "bad_encoding",
        "robots_disallowed",
        "malformed_response",
        "internal_error",
    }
)
"""Our parser's codes of pages that failed. A foreign parser may send codes of its own."""


class ApiError(Exception):
    """Tell a client why its request cannot be served.

    Attributes:
        message: one sentence for the client.
        retry_after: seconds after which the client may ask again.
        retryable: of a page that failed: whether trying again later may help.
        page_status: of a page that failed: its own HTTP status, if that is the reason.
        known_codes: of an error whose code another program chooses: the codes that we know.
    """

    code: str
    known_codes: ClassVar[frozenset[str]] = frozenset()
    http_status: ClassVar[HTTPStatus]
    message: str
    retry_after: int | None = None
    retryable: bool | None = None
    page_status: int | None = None

    def __init__(self, message: str | None = None) -> None:
        self.message = message or self.message
        super().__init__(self.message)


class NotFoundError(ApiError):
    """No request has this id."""

    code = "not_found"
    http_status = HTTPStatus.NOT_FOUND
    message = "There is no request with this id."


class NotAuthenticatedError(ApiError):
    """Nobody knows who calls, and the call is not for everybody."""

    code = "not_authenticated"
    http_status = HTTPStatus.UNAUTHORIZED
    message = "Log in, or send a valid token as Authorization: Bearer ..."


class NotAllowedError(ApiError):
    """The caller is known, and may not do this."""

    code = "not_allowed"
    http_status = HTTPStatus.FORBIDDEN
    message = "Your token does not allow this."


class DatabaseUnavailableError(ApiError):
    """PostgreSQL does not answer in time. An unanswered commit may have succeeded."""

    code = "database_unavailable"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "The database does not answer at the moment."
    retry_after = 5


class TransactionPoolingError(DatabaseUnavailableError):
    """A pooler gives each transaction another session, and listening and plans need their own."""

    message = (
        "DATABASE_URL: it leads to a pooler whose clients share sessions, such as PgBouncer with "
        "pool_mode = transaction; use pool_mode = session, or the port of PostgreSQL itself."
    )


class QueueFullError(ApiError):
    """Too many requests are unfinished. Nothing was stored."""

    code = "queue_full"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "Too many requests are waiting at the moment."
    retry_after = 10


class RateLimitedError(ApiError):
    """The caller uses as much as its limits allow. Nothing was stored.

    Args:
        message: which limit, and what makes room.
        retry_after: seconds after which there may be room.
    """

    code = "rate_limited"
    http_status = HTTPStatus.TOO_MANY_REQUESTS
    message = "You have reached a limit of your account; see GET /auth/me."

    def __init__(self, message: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnstorableError(Exception):
    """PostgreSQL rejects a value: the fault of what made the value, not an outage."""


class CannotStartError(Exception):
    """This process cannot start; the message says why, and what to do."""


class RedisRefusedError(CannotStartError):
    """Redis refuses to let this process in, which does not pass by itself."""


class SchemaOutdatedError(CannotStartError):
    """The database lacks a migration: services refuse to start."""
