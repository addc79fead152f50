"""Errors of the parser, in the vocabulary of `docs/wire-contract.md`."""

from http import HTTPStatus

from api_service.exceptions import PAGE_ERROR_CODES, ApiError


class ParserUnavailableError(ApiError):
    """The parser service does not answer, or not in time."""

    code = "parser_unavailable"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "The parser does not answer at the moment."
    retry_after = 5


class ParserBusyError(ApiError):
    """The parser has too much to do to fetch the page in time."""

    code = "parser_busy"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    message = (
        "Too many pages are being fetched at the moment, or too many of this site: try again later."
    )

    def __init__(self, *, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class PageError(ApiError):
    """The page could not be fetched or parsed; the parser chose the code.

    Attributes:
        retryable: whether trying again later may help.
        page_status: the page's own HTTP status, if that is the reason.
    """

    http_status = HTTPStatus.BAD_GATEWAY
    known_codes = PAGE_ERROR_CODES
    message = "The page could not be fetched or parsed."

    def __init__(
        self, message: str, *, code: str, retryable: bool, page_status: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.page_status = page_status


class InvalidUrlError(ApiError):
    """The parser does not accept the URL."""

    code = "invalid_url"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY
    message = "This is not an http or https URL that can be fetched."
