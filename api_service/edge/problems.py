"""Render errors as RFC 9457 problems, and declare them for routes."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from api_service.exceptions import ApiError

MEDIA_TYPE = "application/problem+json"
MAX_DETAIL = 300
"""Characters of a validation error's sentence."""

Declared = dict[int | str, dict[str, Any]]
"""The answers that a route declares, by status."""

# Sentences for errors that pydantic's own words do not explain to a client.
_SENTENCES = {
    "json_invalid": "The body is not JSON.",
    "model_attributes_type": (
        "Send a JSON object with Content-Type: application/json, such as "
        '{"url": "https://example.com/"}.'
    ),
}


class Problem(BaseModel):
    """An error body as RFC 9457 has it, served as `application/problem+json`."""

    type: Annotated[str, Field(description="Always about:blank; `code` names the problem.")] = (
        "about:blank"
    )
    title: Annotated[str, Field(description="The HTTP status in words.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="One sentence that explains it.")]
    code: Annotated[str, Field(description="A stable name of the problem.")]
    retryable: Annotated[
        bool | None, Field(description="If a page failed: whether asking again may help.")
    ] = None
    page_status: Annotated[
        int | None, Field(description="The page's own HTTP status, if that is the reason.")
    ] = None


def problems(descriptions: Mapping[int, str]) -> Declared:
    """Declare a route's error bodies: a description for each status."""
    return {
        status: {
            "description": description,
            "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
        }
        for status, description in descriptions.items()
    }


def render_errors_as_problems(app: FastAPI) -> None:
    """Register the handlers that turn the application's errors into problems."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


async def _on_api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this class
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    problem = _problem(error.http_status, error.message, error.code)
    problem.retryable, problem.page_status = error.retryable, error.page_status
    return _render(problem, headers)


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    first = error.errors()[0]
    detail = _SENTENCES.get(first["type"]) or _sentence(first)[:MAX_DETAIL]
    return _render(_problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, "invalid_request"))


def _sentence(error: Mapping[str, Any]) -> str:
    """Name the field and what is wrong with it.

    The input is not echoed: it may be long, and may not even be valid Unicode.
    """
    where = ".".join(str(part) for part in error["loc"] if part not in ("body", "query", "path"))
    message: str = error["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "_")
    detail = str(error.detail).removesuffix(".") + "."
    return _render(_problem(status, detail, code), dict(error.headers or {}))


def _problem(status: HTTPStatus, detail: str, code: str) -> Problem:
    return Problem(title=status.phrase, status=status, detail=detail, code=code)


def _render(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    return Response(
        problem.model_dump_json(exclude_none=True),
        status_code=problem.status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )
