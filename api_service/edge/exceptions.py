"""Errors of the edge."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.exceptions import HTTPException

from api_service.exceptions import ApiError


class BadRequestError(ApiError):
    """What arrives is not HTTP, or its body is in no known encoding."""

    code = "bad_request"
    http_status = HTTPStatus.BAD_REQUEST
    message = "The body cannot be read; send JSON in UTF-8."


class CrossSiteError(ApiError):
    """A page of another site had a browser send this. Nothing was read or stored."""

    code = "cross_site"
    http_status = HTTPStatus.FORBIDDEN
    message = "A browser sent this for a page of another site; only our own pages may."


class NoSuchPathError(ApiError):
    """No route has this path."""

    code = "no_such_path"
    http_status = HTTPStatus.NOT_FOUND
    message = "There is nothing at this path; see /docs."


class MethodNotAllowedError(ApiError):
    """The path has a route, but not for this method.

    Args:
        methods: those that it takes.
    """

    code = "method_not_allowed"
    http_status = HTTPStatus.METHOD_NOT_ALLOWED
    message = "This path does not take this method; see /docs."

    def __init__(self, methods: Sequence[str]) -> None:
        *others, last = methods
        taken = f"{', '.join(others)} and {last}" if others else last
        super().__init__(f"This path takes {taken} only.")


class UnknownMethodError(ApiError):
    """HTTP has no such method, or none that the API has heard of."""

    code = "unknown_method"
    http_status = HTTPStatus.NOT_IMPLEMENTED
    message = "The API does not know this method; methods are in capital letters, see /docs."


class EncodedBodyError(ApiError):
    """The body is compressed, or in another encoding than UTF-8."""

    code = "encoded_body"
    http_status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    message = "Send the body as JSON in UTF-8, without Content-Encoding."


class RequestTimeoutError(ApiError):
    """The header or the body arrives too slowly."""

    code = "request_timeout"
    http_status = HTTPStatus.REQUEST_TIMEOUT
    message = "The body did not arrive in time; send it at once."


class BodyTooLargeError(ApiError):
    """The body is longer than any that the API takes."""

    code = "body_too_large"
    http_status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    message = "The body is too long."


class InvalidRequestError(ApiError):
    """A member, a parameter or a header is malformed; see `sentences.py`."""

    code = "invalid_request"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY
    message = "The request is malformed; `detail` says what is wrong and what to write."


class HeaderTooLargeError(ApiError):
    """The request line and the header are longer than the API reads."""

    code = "header_too_large"
    http_status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    message = "The header is too long."


class InternalError(ApiError):
    """A fault of the API that nothing foresaw; the log has it under the request's id."""

    code = "internal_error"
    http_status = HTTPStatus.INTERNAL_SERVER_ERROR
    message = "This is a fault of the API. Its log has the reason under this X-Request-ID."


class AnswerMemoryFullError(ApiError):
    """Large answers that are being read fill the memory that they may have."""

    code = "answer_memory_full"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "Too many large answers are being read at the moment."
    retry_after = 5


class BodyRefusedError(HTTPException):
    """Carry an error out of the reading of a body.

    FastAPI turns every other class that is raised there into a 400.
    """

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.http_status, error.message)
        self.error = error
