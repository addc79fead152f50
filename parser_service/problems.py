"""Render errors as problems of RFC 9457: one handler for each kind of error."""

import math
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from parser_service.exceptions import FetchError
from parser_service.responses import Problem

MEDIA_TYPE = "application/problem+json"
PROBLEM_REF = "#/components/schemas/Problem"
"""Where the OpenAPI schema has `Problem`; see `main.py`."""
_RETRY_AFTER = {
    "description": "Seconds after which to ask again.",
    "required": True,
    "schema": {"type": "integer", "minimum": 0},
}


def problem_declaration(description: str, *, retry_after: bool = False) -> dict[str, Any]:
    """Declare an error of a route in its OpenAPI description.

    Args:
        description: when the route answers with it.
        retry_after: whether it always has that header.
    """
    declared: dict[str, Any] = {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_REF}}},
    }
    if retry_after:
        declared["headers"] = {"Retry-After": _RETRY_AFTER}
    return declared


def add_problem_handlers(app: FastAPI) -> None:
    """Have an application answer all errors with problems."""
    app.add_exception_handler(FetchError, _on_fetch_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


async def _on_fetch_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, FetchError)  # noqa: S101 - registered for this class
    response = _problem_response(
        error.http_status,
        error.message,
        error.code,
        retryable=error.retryable,
        page_status=error.page_status,
    )
    if error.http_status == HTTPStatus.SERVICE_UNAVAILABLE and error.retry_after:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    return response


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    # The input is not echoed: it may be long, and it may not even be valid Unicode.
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:2])
    detail = f"{where}: {first['msg']}"[:300]
    return _problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, detail, "invalid_request")


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "_")
    response = _problem_response(status, f"{status.phrase}.", code)
    response.headers.update(error.headers or {})
    return response


def _problem_response(
    status: HTTPStatus,
    detail: str,
    code: str,
    *,
    retryable: bool | None = None,
    page_status: int | None = None,
) -> Response:
    body = Problem(
        type="about:blank",
        title=status.phrase,
        status=status,
        detail=detail,
        code=code,
        retryable=retryable,
        page_status=page_status,
    )
    return Response(
        body.model_dump_json(exclude_none=True), status_code=status, media_type=MEDIA_TYPE
    )
