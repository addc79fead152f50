"""Errors of requests that carry an Idempotency-Key."""

from http import HTTPStatus

from api_service.exceptions import ApiError


class IdempotencyConflictError(ApiError):
    """The first request with this key is being accepted right now."""

    code = "idempotency_in_progress"
    http_status = HTTPStatus.CONFLICT
    message = "A request with this Idempotency-Key is being accepted; ask again in a moment."
    retry_after = 1


class IdempotencyMismatchError(ApiError):
    """The key was used for another request."""

    code = "idempotency_mismatch"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY
    message = "This Idempotency-Key was used for another request."
