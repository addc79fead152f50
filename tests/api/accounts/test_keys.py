"""API keys: shown once, with no more scopes than their owner has, and dead at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.api.accounts.people import ADA, BOB, PASSWORD, People


async def test_a_key_is_shown_once_and_calls_for_its_owner(people: People) -> None:
    session = await people.join()
    key = await people.create_key(session, name=" nightly import ")
    assert key.keys() == {
        *("id", "name", "prefix", "scopes", "key", "created_at", "expires_at", "last_used_at")
    }
    assert (key["name"], key["scopes"]) == ("nightly import", ["read", "write"])
    assert key["key"].startswith(key["prefix"])
    assert len(key["prefix"]) == 12
    listed = (await people.call("GET", "/auth/keys", session)).json()
    shown = {name: value for name, value in key.items() if name != "key"}
    assert listed == {"items": [shown], "next_cursor": None}
    assert (await people.me(key["key"])).json()["email"] == ADA


async def test_a_deleted_key_is_dead_and_the_others_live(people: People) -> None:
    session = await people.join()
    first, second = await people.create_key(session), await people.create_key(session)
    for key in (first, second):
        assert (await people.me(key["key"])).status_code == 200
    gone = await people.call("DELETE", f"/auth/keys/{first['id']}", session)
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await people.me(first["key"])).status_code == 401
    assert (await people.me(second["key"])).status_code == 200
    again = await people.call("DELETE", f"/auth/keys/{first['id']}", session)
    assert again.status_code == 404


async def test_the_keys_of_another_are_not_there(people: People) -> None:
    ada, bob = await people.join(ADA), await people.join(BOB)
    key = await people.create_key(ada)
    refused = await people.call("DELETE", f"/auth/keys/{key['id']}", bob)
    never = "4e3fb0d5-3c7c-4a2b-9d51-9e4f6f1d0001"
    nothing = await people.call("DELETE", f"/auth/keys/{never}", bob)
    assert (refused.status_code, refused.json()) == (404, nothing.json())
    assert (await people.call("GET", "/auth/keys", bob)).json()["items"] == []
    assert (await people.me(key["key"])).status_code == 200


@pytest.mark.parametrize("id", ["x", "1", "%00", "4E3FB0D5-3C7C-4A2B-9D51-9E4F6F1D0001", "é"])
async def test_what_is_no_id_is_not_there(people: People, id: str) -> None:
    session = await people.join()
    answer = await people.call("DELETE", f"/auth/keys/{id}", session)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_key_may_do_what_its_scopes_say(people: People) -> None:
    session = await people.join()
    key = await people.create_key(session, scopes=["read"])
    assert (await people.me(key["key"])).json()["scopes"] == ["read"]
    for method, path, body in (
        ("POST", "/auth/keys", {"name": "more"}),
        ("POST", "/auth/password", {"current": "a", "new": "b"}),
        ("DELETE", f"/auth/keys/{key['id']}", None),
        ("DELETE", "/auth/me", None),
    ):
        refused = await people.call(method, path, key["key"], json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed"), path
    assert (await people.call("GET", "/auth/keys", key["key"])).status_code == 200


async def test_a_key_gets_no_scope_that_its_creator_lacks(
    people: People, connection: asyncpg.Connection
) -> None:
    user = await people.join(ADA)
    refused = await people.call(
        "POST", "/auth/keys", user, json={"name": "k", "scopes": ["read", "admin"]}
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    admin = await people.join_as_admin(connection, BOB)
    assert (await people.create_key(admin))["scopes"] == ["read", "write"]
    whole = await people.create_key(admin, scopes=["admin", "read", "admin"])
    assert whole["scopes"] == ["admin", "read"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/auth/keys", {"name": "k"}),
        ("POST", "/auth/password", {"current": PASSWORD, "new": "eight dry owls"}),
        ("DELETE", "/auth/me", None),
    ],
)
async def test_a_key_makes_no_keys_and_takes_nothing_over(
    people: People, method: str, path: str, body: dict[str, str] | None
) -> None:
    key = (await people.create_key(await people.join()))["key"]
    refused = await people.call(method, path, key, json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert (await people.me(key)).status_code == 200


async def test_a_key_follows_its_owner_s_role(
    people: People, connection: asyncpg.Connection
) -> None:
    chief = await people.join_as_admin(connection, ADA)
    admin = await people.join_as_admin(connection, BOB)
    key = await people.create_key(admin, scopes=["read", "admin"])
    assert (await people.call("GET", "/admin/users", key["key"])).status_code == 200
    id = (await people.me(admin)).json()["id"]
    changed = await people.call("PATCH", f"/admin/users/{id}", chief, json={"role": "user"})
    assert changed.status_code == 200
    assert (await people.call("GET", "/admin/users", key["key"])).status_code == 403
    assert (await people.me(key["key"])).json()["scopes"] == ["read"]


async def test_a_key_ends_when_it_expires(people: People, connection: asyncpg.Connection) -> None:
    session = await people.join()
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    key = await people.create_key(session, expires_at=soon.isoformat())
    assert datetime.fromisoformat(key["expires_at"]) == soon
    assert (await people.me(key["key"])).status_code == 200
    await asyncio.sleep((soon - datetime.now(UTC)).total_seconds() + 0.05)
    assert (await people.me(key["key"])).status_code == 401
    listed = (await people.call("GET", "/auth/keys", session)).json()["items"]
    assert [item["id"] for item in listed] == [key["id"]]


@pytest.mark.parametrize(
    "members",
    [
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2099-01-01T00:00:00"},
        {"expires_at": "tomorrow"},
        {"expires_at": "9999-12-31T23:59:59-23:59"},
        {"expires_at": True},
        {"expires_at": 99999999999},
        {"scopes": []},
        {"scopes": ["root"]},
        {"scopes": "read"},
        {"scopes": ["read"] * 11},
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 101},
        {"name": "a\x00b"},
        {"name": "a\nb"},
        {"name": 5},
        {"owner": "somebody"},
    ],
)
async def test_a_malformed_key_is_refused(people: People, members: dict[str, Any]) -> None:
    session = await people.join()
    refused = await people.call("POST", "/auth/keys", session, json={"name": "k"} | members)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert len(refused.content) < 500
    assert (await people.call("GET", "/auth/keys", session)).json()["items"] == []


async def test_keys_are_listed_newest_first_page_by_page(
    people: People, connection: asyncpg.Connection
) -> None:
    session = await people.join()
    await connection.execute(
        "INSERT INTO api_keys (user_id, name, prefix, token_digest, scopes, created_at)"
        " SELECT id, n::text, 'ppk_', sha256(n::text::bytea), '{read}',"
        " now() + n / 3 * interval '1 s'"
        " FROM users, generate_series(0, 19) AS n"
    )
    found: list[str] = []
    pages = 0
    cursor: str | None = ""
    while cursor is not None:
        path = f"/auth/keys?limit=7{f'&cursor={cursor}' if cursor else ''}"
        page = (await people.call("GET", path, session)).json()
        found += [item["name"] for item in page["items"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert pages == 3
    assert sorted(found, key=int) == [str(n) for n in range(20)]
    assert [int(name) // 3 for name in found] == sorted((n // 3 for n in range(20)), reverse=True)


async def test_a_user_has_a_thousand_keys_at_most(
    people: People, connection: asyncpg.Connection
) -> None:
    session = await people.join()
    await connection.execute(
        "INSERT INTO api_keys (user_id, name, prefix, token_digest, scopes)"
        " SELECT id, 'k', 'ppk_', sha256(n::text::bytea), '{read}'"
        " FROM users, generate_series(1, 999) AS n"
    )
    last = await people.create_key(session)
    refused = await people.call("POST", "/auth/keys", session, json={"name": "k"})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_keys")
    await people.call("DELETE", f"/auth/keys/{last['id']}", session)
    await people.create_key(session)
