"""What people read who send something malformed: no words of a library's."""

import re
from typing import Annotated, Any, Literal

import httpx
import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from api_service.edge.sentences import MAX_SENTENCE_LENGTH, SENTENCES, WILDCARD, sentence
from api_service.page.url import MAX_URL_LENGTH
from api_service.requests import MAX_WAIT_SECONDS
from api_service.status_enum import StatusEnum

URL = "https://example.com/"
URL_FORM = "url must begin with http:// or https://, such as https://example.com/."
URL_HOST = "url must have a valid host and port, such as https://example.com/."
URL_LENGTH = f"url must have at most {MAX_URL_LENGTH:,} characters."
URL_MISSING = "url is missing; give a page's address, such as https://example.com/."
OBJECT = (
    'Send a JSON object with Content-Type: application/json, such as {"url": '
    '"https://example.com/"}.'
)
NO_JSON = 'The body is not JSON; send an object, such as {"url": "https://example.com/"}.'
WAIT = f"wait must be from 0 to {MAX_WAIT_SECONDS} seconds."
KEY = "Idempotency-Key: use 1 to 255 visible ASCII characters, without spaces."
WHOLE = "request_id must be a whole number, such as 42."

QUERIES = [
    ("/status/abc", WHOLE),
    ("/status/1.5", WHOLE),
    *((f"/status/{id}", WHOLE) for id in ("1_0", "+1", "1.0", "%201", "1e0", "%D9%A1", "1%0A")),
    ("/status/-1", "request_id must be at least 1."),
    ("/result/%ff", WHOLE),
    ("/status/0", "request_id must be at least 1."),
    (f"/status/{2**63}", f"request_id must be at most {2**63 - 1}."),
    ("/status/" + "9" * 20_000, "request_id is too large a number."),
    ("/status/1?wait=31", WAIT),
    ("/status/1?wait=-1", WAIT),
    ("/status/1?wait=abc", WAIT),
    ("/result/1?wait=nan", WAIT),
    ("/result/1?wait=", WAIT),
    ("/parse_sync", URL_MISSING),
    ("/parse_sync?url=", URL_FORM),
    ("/parse_sync?url=example.com", URL_FORM),
    ("/parse_sync?url=ftp://example.com/", URL_FORM),
    ("/parse_sync?url=http://", URL_HOST),
    ("/parse_sync?url=http://a.example:99999/", URL_HOST),
    ("/parse_sync?url=http://u:p@a.example/", "url must be without user name and password."),
    (f"/parse_sync?url={URL}{'a' * MAX_URL_LENGTH}", URL_LENGTH),
    (f"/parse_sync?url={URL}&respect_robots=perhaps", "respect_robots must be true or false."),
]
BODIES = [
    (b"{}", URL_MISSING),
    (b'{"url": ""}', URL_FORM),
    (b'{"url": "example.com"}', URL_FORM),
    (b'{"url": "http://exa mple.com/"}', URL_HOST),
    (b'{"url": null}', 'url must be text, such as "https://example.com/".'),
    (b'{"url": 1}', 'url must be text, such as "https://example.com/".'),
    (
        b'{"url": "' + URL.encode() + b'", "title_fallback": 1}',
        "title_fallback must be true or false.",
    ),
    (b"[]", OBJECT),
    (b"1", OBJECT),
    (b'"text"', OBJECT),
    (b"{url: }", NO_JSON),
    (b"\x00", NO_JSON),
    (b"", 'The body is missing; send a JSON object, such as {"url": "https://example.com/"}.'),
]


def _says(response: httpx.Response, words: str) -> None:
    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "invalid_request")
    assert problem["detail"] == words


@pytest.mark.parametrize(("path", "words"), QUERIES)
async def test_a_malformed_path_or_query_is_explained(
    client: httpx.AsyncClient, path: str, words: str
) -> None:
    _says(await client.get(path), words)


@pytest.mark.parametrize(("body", "words"), BODIES)
async def test_a_malformed_body_is_explained(
    client: httpx.AsyncClient, body: bytes, words: str
) -> None:
    headers = {"Content-Type": "application/json"}
    _says(await client.post("/parse_async", content=body, headers=headers), words)


async def test_a_body_of_another_type_is_explained(client: httpx.AsyncClient) -> None:
    _says(await client.post("/parse_async", data={"url": URL}), OBJECT)


@pytest.mark.parametrize("key", ["", "a b", "a" * 256, b"\xe9"])
async def test_a_malformed_key_is_explained(client: httpx.AsyncClient, key: str | bytes) -> None:
    headers = [(b"Idempotency-Key", key if isinstance(key, bytes) else key.encode())]
    _says(await client.post("/parse_async", json={"url": URL}, headers=headers), KEY)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _refuse(_: str) -> str:
    raise ValueError("must be another")


PROVOKED: list[tuple[Any, Any]] = [
    (Annotated[str, AfterValidator(_refuse)], "x"),
    (int, "x"), (int, None), (int, 1.5), (int, "9" * 5000), (float, "x"), (float, None),
    (Annotated[float, Field(allow_inf_nan=False)], float("inf")),
    (Annotated[int, Gt(1)], 1), (Annotated[int, Ge(1)], 0),
    (Annotated[int, Lt(1)], 1), (Annotated[int, Le(1)], 2),
    (bool, "x"), (bool, None), (str, 1), (str, b"\xff"),
    (Annotated[str, Field(min_length=2)], ""), (Annotated[str, Field(max_length=2)], "abc"),
    (StatusEnum, "x"), (Literal["a", "b"], "x"), (list[int], 1), (dict[str, int], 1),
    (_Strict, 1), (bytes, 1), (Annotated[str, Field(pattern="^a$")], "x"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), PROVOKED)
def test_any_error_of_a_member_is_a_sentence_of_ours(kind: Any, value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(kind).validate_python(value)
    [error] = raised.value.errors()
    written = sentence({**error, "loc": ("query", "size")})
    assert re.fullmatch(r"size (must|is) [^{}]+\.", written), written
    assert error["msg"] not in written


def test_a_name_that_a_client_chose_is_short_and_valid_unicode() -> None:
    error = {"type": "extra_forbidden", "loc": ("body", "\ud800{x}" + "a" * 1000)}
    written = sentence(error)
    assert written.startswith("?{x}aaa")
    assert written.endswith("is not known here; see /docs.")
    assert len(written.encode()) < MAX_SENTENCE_LENGTH


@pytest.mark.parametrize(("member", "kind"), SENTENCES)
def test_every_sentence_of_the_table_is_complete(member: str, kind: str) -> None:
    written = SENTENCES[member, kind]
    assert written.endswith(".")
    assert member in (WILDCARD, "body") or written.startswith(member)
    assert re.search(r"[Ii]nput|should|valid (string|integer|number)", written) is None
