"""What is malformed gets a short 4xx and changes nothing."""

from typing import Any

import asyncpg
import pytest

from tests.api.accounts.people import ADA, PASSWORD, People

GOOD = {"email": ADA, "password": PASSWORD}
BAD_BODIES: dict[str, bytes] = {
    "not JSON": b"{",
    "a list": b"[]",
    "null": b"null",
    "no members": b"{}",
    "a role": b'{"email": "ada@example.org", "password": "seven wet owls", "role": "admin"}',
    "NUL in the address": b'{"email": "ada\\u0000@example.org", "password": "seven wet owls"}',
    "a lone surrogate in the address": (
        b'{"email": "\\ud800@example.org", "password": "seven wet owls"}'
    ),
    "a lone surrogate in the password": (
        b'{"email": "ada@example.org", "password": "seven wet owls \\ud800"}'
    ),
    "a long address": b'{"email": "' + b"a" * 255 + b'@b", "password": "seven wet owls"}',
    "an address that is none": b'{"email": "ada", "password": "seven wet owls"}',
    "a number for an address": b'{"email": 5, "password": "seven wet owls"}',
    "a number for a password": b'{"email": "ada@example.org", "password": 12345678}',
    "null for a password": b'{"email": "ada@example.org", "password": null}',
    "deep": b'{"email": ' + b"[" * 5000 + b"]" * 5000 + b"}",
}


@pytest.mark.parametrize("path", ["/auth/register", "/auth/login", "/auth/session"])
@pytest.mark.parametrize("kind", BAD_BODIES)
async def test_a_malformed_body_is_refused(
    people: People, connection: asyncpg.Connection, path: str, kind: str
) -> None:
    headers = {"Content-Type": "application/json"}
    refused = await people.client.post(path, content=BAD_BODIES[kind], headers=headers)
    expected = (400, "bad_request") if kind == "deep" else (422, "invalid_request")
    assert (refused.status_code, refused.json()["code"]) == expected
    assert len(refused.content) < 500
    assert "owls" not in refused.text
    assert await connection.fetchval("SELECT count(*) FROM users") == 0


async def test_a_body_of_3_mb_is_refused(people: People) -> None:
    body: Any = {"email": ADA, "password": "x" * 3_000_000}
    refused = await people.client.post("/auth/register", json=body)
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")


async def test_a_form_is_refused(people: People) -> None:
    for options in (
        {"data": GOOD},
        {"content": b'{"a": 1}', "headers": {"Content-Type": "text/plain"}},
    ):
        refused = await people.client.post("/auth/session", **options)
        assert refused.status_code == 422
        assert "set-cookie" not in refused.headers


@pytest.mark.parametrize("password", ["x" * 257, "", "1234567", "password", "Password1"])
async def test_a_weak_password_registers_nobody(
    people: People, connection: asyncpg.Connection, password: str
) -> None:
    refused = await people.client.post("/auth/register", json=GOOD | {"password": password})
    assert (refused.status_code, refused.json()["code"]) == (422, "weak_password")
    assert await connection.fetchval("SELECT count(*) FROM users") == 0


@pytest.mark.parametrize("password", ["", "x", "x" * 257, "x" * 60_000, "nul\x00nul\x00"])
async def test_a_login_with_what_is_no_password_is_a_wrong_one(
    people: People, password: str
) -> None:
    await people.register()
    refused = await people.try_login(password=password)
    assert (refused.status_code, refused.json()["code"]) == (401, "bad_credentials")


@pytest.mark.parametrize(
    "password", ["nul\x00 in the middle", "жжжжжжжж", "🦉🦉🦉🦉🦉🦉🦉🦉", "x" * 256]
)
async def test_a_password_may_have_any_characters(people: People, password: str) -> None:
    await people.join(password=password)
    assert (await people.try_login(password=password[:-1])).status_code == 401
