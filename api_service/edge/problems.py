"""Render errors as RFC 9457 problems, and declare them for routes."""

from collections import defaultdict
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api_service.edge.exceptions import (
    BadRequestError,
    BodyRefusedError,
    InternalError,
    InvalidRequestError,
    MethodNotAllowedError,
    NoSuchPathError,
)
from api_service.edge.sentences import sentence
from api_service.exceptions import ApiError

PROBLEM_MEDIA_TYPE = "application/problem+json"
PROBLEM_REF = "#/components/schemas/Problem"
"""Where the OpenAPI schema has `Problem`; see `openapi.py`."""

DeclaredAnswers = dict[int | str, dict[str, Any]]
"""The answers that a route declares, by status."""


def _without_default(schema: dict[str, Any]) -> None:
    """Describe a member that is absent unless it has a value: it is never null."""
    del schema["default"]


_ALWAYS_WITH_RETRY_AFTER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class Problem(BaseModel):
    """An error body as RFC 9457 has it, served as `application/problem+json`."""

    type: Annotated[str, Field(description="Always about:blank; `code` names the problem.")]
    title: Annotated[str, Field(description="The HTTP status in words.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="One sentence that explains it.")]
    code: Annotated[str, Field(description="A stable name of the problem.")]
    retryable: Annotated[
        bool | SkipJsonSchema[None],
        Field(
            description="If a page failed: whether asking again may help.",
            json_schema_extra=_without_default,
        ),
    ] = None
    page_status: Annotated[
        int | SkipJsonSchema[None],
        Field(
            description="The page's own HTTP status, if that is the reason.",
            json_schema_extra=_without_default,
        ),
    ] = None


def problems(*errors: type[ApiError]) -> DeclaredAnswers:
    """Declare the errors that a route answers with, by status."""
    by_status = defaultdict(list)
    for error in errors:
        by_status[error.http_status].append(error)
    return {int(status): _declaration(status, found) for status, found in by_status.items()}


def _declaration(status: HTTPStatus, errors: Sequence[type[ApiError]]) -> dict[str, Any]:
    named = [f"`{error.code}`: {error.message}" for error in errors if not error.known_codes]
    others = [error.message for error in errors if error.known_codes]
    codes = {error.code for error in errors if not error.known_codes}
    known = {code for error in errors for code in error.known_codes}
    code: dict[str, Any] = {"type": "string", "enum": sorted(codes)}
    if known:  # another program chooses the code, and a client must bear with any
        code = {"type": "string", "examples": sorted(codes | known)}
    # Next to the reference, so that generators of clients make no class of its own of it.
    narrowed = {"$ref": PROBLEM_REF, "properties": {"code": code}}
    declared: dict[str, Any] = {
        "description": "\n\n".join(named + others),
        "content": {PROBLEM_MEDIA_TYPE: {"schema": narrowed}},
    }
    if status in _ALWAYS_WITH_RETRY_AFTER or any(error.retry_after for error in errors):
        declared["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return declared


def render_errors_as_problems(app: FastAPI) -> None:
    """Register the handlers that turn the application's errors into problems."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


def problem_body(error: ApiError, *, status: int | None = None) -> bytes:
    """Write the body that answers an error.

    Args:
        error: what went wrong.
        status: of the answer, if it is not the error's own.
    """
    shown = HTTPStatus(status or error.http_status)
    problem = Problem(
        type="about:blank",
        title=shown.phrase,
        status=shown,
        detail=error.message,
        code=error.code,
        retryable=error.retryable,
        page_status=error.page_status,
    )
    return problem.model_dump_json(exclude_none=True).encode()


def problem_response(
    error: ApiError, *, status: int | None = None, headers: dict[str, str] | None = None
) -> Response:
    """Answer an error."""
    headers = dict(headers or {})
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.http_status == HTTPStatus.UNAUTHORIZED:  # RFC 9110 asks for it, section 15.5.2
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        problem_body(error, status=status),
        status_code=status or error.http_status,
        headers=headers,
        media_type=PROBLEM_MEDIA_TYPE,
    )


async def _on_api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this class
    return problem_response(error)


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    return problem_response(InvalidRequestError(sentence(error.errors()[0])))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the framework raises with codes and words of ours."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    if isinstance(error, BodyRefusedError):
        return problem_response(error.error)
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return problem_response(NoSuchPathError())
        case HTTPStatus.METHOD_NOT_ALLOWED:
            methods = _methods_of(request)
            headers = {"Allow": ", ".join(methods)}
            return problem_response(MethodNotAllowedError(methods), headers=headers)
        case HTTPStatus.BAD_REQUEST:
            return problem_response(_explain_unread_body(error.__cause__))
    is_ours = error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind = InternalError if is_ours else BadRequestError
    shown = kind(str(error.detail).removesuffix(".") + ".")
    return problem_response(shown, status=error.status_code, headers=dict(error.headers or {}))


def _explain_unread_body(cause: BaseException | None) -> BadRequestError:
    """Say why a body was not read: Python's reader has limits of its own, also in UTF-8."""
    match cause:
        case RecursionError():
            return BadRequestError("The body has too many lists or objects within each other.")
        case ValueError() if not isinstance(cause, UnicodeError):
            return BadRequestError("A number in the body has too many digits.")
        case _:
            return BadRequestError()


def _methods_of(request: Request) -> list[str]:
    """List the methods that the path takes.

    The framework names those of one route only, although a path may have several.
    """

    def is_taken(method: str) -> bool:
        scope = {**request.scope, "method": "GET" if method == "HEAD" else method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return [method for method in _METHODS if is_taken(method)]
