"""Errors as `application/problem+json`, whoever raises them."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from api_service.edge.problems import PROBLEM_REF, problems, render_errors_as_problems
from api_service.exceptions import ApiError, NotFoundError
from tests.support.app_client import AppClient


class _BusyError(ApiError):
    code = "busy"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "Come back later."
    retry_after = 7


class _Body(BaseModel):
    number: int


@pytest.fixture
async def client() -> AsyncIterator[AppClient]:
    app = FastAPI()
    render_errors_as_problems(app)

    @app.get("/busy")
    async def busy() -> None:
        raise _BusyError

    @app.get("/page")
    async def page() -> None:
        error = _BusyError("The site answered with 503.")
        error.retryable, error.page_status = True, 503
        raise error

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "Short and stout", headers={"X-Spout": "here"})

    @app.get("/several/{number}")
    async def read(number: int) -> None: ...

    @app.delete("/several/{number}")
    async def delete(number: int) -> None: ...

    @app.post("/body")
    async def body(body: _Body) -> None: ...

    async with AppClient(app) as opened:
        yield opened


def _problem(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert (found.pop("type"), found.pop("status")) == ("about:blank", response.status_code)
    return found


async def test_an_error_of_ours_is_its_code_sentence_and_retry_after(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/busy")
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")
    assert _problem(response) == {
        "title": "Service Unavailable",
        "detail": "Come back later.",
        "code": "busy",
    }


async def test_what_an_error_knows_of_a_page_is_passed_on(client: httpx.AsyncClient) -> None:
    found = _problem(await client.get("/page"))
    assert (found["retryable"], found["page_status"]) == (True, 503)
    assert found["detail"] == "The site answered with 503."


async def test_an_error_of_the_framework_keeps_its_status_and_headers(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/teapot")
    assert (response.status_code, response.headers["x-spout"]) == (418, "here")
    assert _problem(response) == {
        "title": "I'm a Teapot",
        "detail": "Short and stout.",
        "code": "bad_request",
    }


async def test_malformed_input_names_the_field_and_is_not_echoed(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post("/body", json={"number": "secret" * 1000})
    assert response.status_code == 422
    found = _problem(response)
    assert found["code"] == "invalid_request"
    assert found["detail"] == "number must be a whole number, such as 42."
    assert "secret" not in response.text


async def test_a_path_that_does_not_exist_is_told_from_a_thing_that_does_not(
    client: httpx.AsyncClient,
) -> None:
    for path in ("/nowhere", "/busy/er", "/%ff"):
        response = await client.get(path)
        assert response.status_code == 404
        assert _problem(response) == {
            "title": "Not Found",
            "detail": "There is nothing at this path; see /docs.",
            "code": "no_such_path",
        }


@pytest.mark.parametrize(
    ("method", "path", "allow", "words"),
    [
        ("GET", "/body", "POST", "This path takes POST only."),
        ("POST", "/busy", "GET, HEAD", "This path takes GET and HEAD only."),
        ("BREW", "/several/1", "GET, HEAD, DELETE", "This path takes GET, HEAD and DELETE only."),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    client: httpx.AsyncClient, method: str, path: str, allow: str, words: str
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allow)
    found = _problem(response)
    assert (found["code"], found["detail"]) == ("method_not_allowed", words)


def test_declared_problems_refer_to_one_schema_and_list_their_codes() -> None:
    declared = problems(NotFoundError, _BusyError)
    assert declared.keys() == {404, 503}
    assert declared[404]["description"] == "`not_found`: There is no request with this id."
    assert ("headers" in declared[404], "headers" in declared[503]) == (False, True)
    schema = declared[404]["content"]["application/problem+json"]["schema"]
    assert schema["$ref"] == PROBLEM_REF
    assert schema["properties"] == {"code": {"type": "string", "enum": ["not_found"]}}
