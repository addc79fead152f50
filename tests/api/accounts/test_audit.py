"""The log says who changed what, and no secret."""

import json
from typing import Any

import asyncpg
import pytest

from api_service.database import Database
from api_service.process import log
from tests.api.accounts.people import ADA, BOB, PASSWORD, People


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that the process logs, that of libraries included."""
    written: list[str] = []

    def write(_output: object, text: str) -> int:
        written.append(text)
        return len(text)

    monkeypatch.setattr(log._Output, "write", write)
    return written


def _lines(text: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "audit"]


async def test_every_change_has_a_line_and_no_line_has_a_secret(
    people: People, connection: asyncpg.Connection, output: list[str]
) -> None:
    admin = await people.join_as_admin(connection, BOB)
    chief = (await people.me(admin)).json()["id"]
    output.clear()
    user = (await people.register(ADA))["id"]
    await people.try_login(ADA, "a wrong secret")
    await people.try_login("typed-my-secret@example.org", PASSWORD)
    first, token = await people.log_in(ADA), await people.log_in(ADA)
    key = await people.create_key(token)
    await people.call("POST", "/auth/logout", first)
    change = {"current": PASSWORD, "new": "eight dry owls"}
    await people.call("POST", "/auth/password", token, json=change)
    await people.call("DELETE", f"/auth/keys/{key['id']}", token)
    path = f"/admin/users/{user}"
    for body in ({"role": "admin"}, {"is_active": False}, {"limits": {"stored_bytes": 1}}, {}):
        await people.call("PATCH", path, admin, json=body)
    await people.call("DELETE", path, admin)
    shown = "".join(output)

    found = [(line["action"], line["actor"], line["target"]) for line in _lines(shown)]
    assert found == [
        ("user.registered", "anonymous", user),
        ("login.failed", "anonymous", user),
        ("login.failed", "anonymous", None),
        ("session.begun", "anonymous", user),
        ("session.begun", "anonymous", user),
        ("key.created", user, user),
        ("session.ended", user, user),
        ("password.changed", user, user),
        ("key.deleted", user, user),
        ("user.role_changed", chief, user),
        ("user.deactivated", chief, user),
        ("user.limits_changed", chief, user),
        ("user.deleted", chief, user),
    ]
    for line in _lines(shown):
        assert {"address": "127.0.0.1", "service": "api"}.items() <= line.items()
        assert line.keys() >= {"timestamp", "trace_id", "credential"}
    secrets = (PASSWORD, "a wrong secret", "eight dry owls", "typed-my-secret", ADA, "argon2")
    for secret in (*secrets, first, token, admin, key["key"], key["key"][4:]):
        assert secret not in shown


async def test_an_error_of_the_database_takes_no_value_to_the_log(
    database: Database, connection: asyncpg.Connection
) -> None:
    from sqlalchemy import text  # noqa: PLC0415 - as a repository would
    from sqlalchemy.exc import IntegrityError  # noqa: PLC0415

    statement = text("INSERT INTO users (email, password_hash, role) VALUES ('a', :hash, 'x')")
    with pytest.raises(IntegrityError) as refused:
        async with database.transaction() as session:
            await session.execute(statement, {"hash": "a secret"})
    assert "ck_users_role" in str(refused.value)
    assert "[SQL parameters hidden" in str(refused.value)
    assert "'a secret'" not in str(refused.value).partition("DETAIL")[0]
