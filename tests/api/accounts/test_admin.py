"""Administrators look after users; somebody always remains who does."""

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.api.accounts.conftest import OpenPeople
from tests.api.accounts.people import ADA, BOB, PASSWORD, People

CHIEF = "chief@example.org"
NOBODY = "4e3fb0d5-3c7c-4a2b-9d51-9e4f6f1d0001"


@pytest.fixture
async def admin(people: People, connection: asyncpg.Connection) -> str:
    return await people.join_as_admin(connection, CHIEF)


async def test_users_are_listed_newest_first_page_by_page(
    people: People, admin: str, connection: asyncpg.Connection
) -> None:
    await connection.execute(
        "INSERT INTO users (email, created_at)"
        " SELECT 'u' || n, now() - n / 3 * interval '1 s' FROM generate_series(1, 20) AS n"
    )
    await connection.execute("INSERT INTO users (deleted_at) VALUES (now())")
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        path = f"/admin/users?limit=5{f'&cursor={cursor}' if cursor else ''}"
        page = (await people.call("GET", path, admin)).json()
        found += page["items"]
        cursor, pages = page["next_cursor"], pages + 1
    assert pages == 5
    assert len({user["id"] for user in found}) == len(found) == 21
    times = [user["created_at"] for user in found]
    assert times == sorted(times, reverse=True)
    [chief] = [user for user in found if user["email"] == CHIEF]
    assert chief.keys() == {"id", "email", "role", "created_at", "is_active", "limits"}
    assert chief["limits"]["requests_per_minute"] == 60_000


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "cursor=", "cursor=x", f"cursor={'A' * 31}é", "cursor=%00"],
)
async def test_a_malformed_query_is_refused(people: People, admin: str, query: str) -> None:
    refused = await people.call("GET", f"/admin/users?{query}", admin)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


async def test_only_administrators_administer(people: People, admin: str) -> None:
    user = await people.join(ADA)
    id = (await people.me(admin)).json()["id"]
    for method, path, body in (
        ("GET", "/admin/users", {}),
        ("PATCH", f"/admin/users/{id}", {"role": "user"}),
        ("PATCH", f"/admin/users/{NOBODY}", {"role": "user"}),
        ("DELETE", f"/admin/users/{id}", {}),
    ):
        refused = await people.call(method, path, user, json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert (await people.me(admin)).json()["role"] == "admin"


async def test_limits_of_a_user_are_set_and_taken_back(people: People, admin: str) -> None:
    user = await people.register(ADA)
    token = await people.log_in(ADA)
    path = f"/admin/users/{user['id']}"
    body: dict[str, Any] = {"limits": {"requests_per_minute": 7, "stored_bytes": 0}}
    changed = (await people.call("PATCH", path, admin, json=body)).json()
    expected = {"requests_per_minute": 7, "unfinished_requests": 100_000, "stored_bytes": 0}
    assert changed["limits"] == expected
    assert (await people.me(token)).json()["limits"] == expected
    body = {"limits": {"requests_per_minute": None, "unfinished_requests": 5}}
    changed = (await people.call("PATCH", path, admin, json=body)).json()
    expected = {"requests_per_minute": 60_000, "unfinished_requests": 5, "stored_bytes": 0}
    assert changed["limits"] == expected
    assert (changed["is_active"], changed["role"]) == (True, "user")


@pytest.mark.parametrize(
    "body",
    [
        {"role": "root"},
        {"role": 1},
        {"is_active": "no"},
        {"is_active": 0},
        {"limits": {"requests_per_minute": 0}},
        {"email": "other@example.org"},
        {"limits": 5},
        {"limits": {"stored_bytes": -1}},
        {"limits": {"stored_bytes": 2**53}},
        {"limits": {"stored_bytes": 1.5}},
        {"limits": {"stored_bytes": True}},
        {"limits": {"disk": 1}},
        [],
        None,
    ],
)
async def test_a_malformed_change_is_refused(people: People, admin: str, body: Any) -> None:
    user = await people.register(ADA)
    refused = await people.call("PATCH", f"/admin/users/{user['id']}", admin, json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    listed = (await people.call("GET", "/admin/users", admin)).json()["items"]
    assert [item["role"] for item in listed] == ["user", "admin"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("id", [NOBODY, "x", "1", NOBODY.upper()])
async def test_a_user_who_is_not_there_is_not_found(
    people: People, admin: str, method: str, id: str
) -> None:
    body: dict[str, Any] | None = {} if method == "PATCH" else None
    refused = await people.call(method, f"/admin/users/{id}", admin, json=body)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("body", [{"role": "user"}, {"is_active": False}, None])
async def test_the_last_administrator_stays(
    people: People, admin: str, body: dict[str, Any] | None, connection: asyncpg.Connection
) -> None:
    id = (await people.me(admin)).json()["id"]
    path = f"/admin/users/{id}"
    retired = await people.register("retired@example.org")
    await connection.execute(
        "UPDATE users SET role = 'admin', is_active = false WHERE email LIKE 'retired@%'"
    )
    method = "PATCH" if body else "DELETE"
    refused = await people.call(method, path, admin, json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "last_admin")
    if body is None:
        assert (await people.call("DELETE", "/auth/me", admin)).status_code == 409
    assert (await people.me(admin)).json()["role"] == "admin"
    await people.call("PATCH", f"/admin/users/{retired['id']}", admin, json={"is_active": True})
    assert (await people.call(method, path, admin, json=body)).is_success


async def test_two_administrators_who_retire_at_once_do_not_both(
    open_people: OpenPeople, connection: asyncpg.Connection
) -> None:
    async with open_people() as here, open_people() as there:
        for _ in range(5):
            await connection.execute("DELETE FROM sessions; DELETE FROM users")
            tokens = [await here.join_as_admin(connection, email) for email in (ADA, BOB)]
            ids = [(await here.me(token)).json()["id"] for token in tokens]
            answers = await asyncio.gather(
                *(
                    people.call("PATCH", f"/admin/users/{id}", token, json={"role": "user"})
                    for people, id, token in zip((here, there), ids, tokens, strict=True)
                )
            )
            assert sorted(answer.status_code for answer in answers) == [200, 409]
            left = "SELECT count(*) FROM users WHERE role = 'admin'"
            assert await connection.fetchval(left) == 1


async def test_administrators_register_others_where_registration_is_closed(
    open_people: OpenPeople, connection: asyncpg.Connection
) -> None:
    async with open_people(registration="open") as people:
        admin = await people.join_as_admin(connection, CHIEF)
        user = await people.join(ADA)
    async with open_people(registration="closed") as people:
        body = {"email": BOB, "password": PASSWORD}
        assert (await people.call("POST", "/auth/register", user, json=body)).status_code == 403
        created = await people.call("POST", "/auth/register", admin, json=body)
        assert (created.status_code, created.json()["role"]) == (201, "user")
