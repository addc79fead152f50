"""A deleted account is out at once, and its address is free."""

import asyncpg
import pytest

from tests.api.accounts.people import ADA, BOB, People


@pytest.mark.parametrize("by", ["user", "admin"])
async def test_a_deleted_user_is_gone_with_all_credentials(
    people: People, connection: asyncpg.Connection, by: str
) -> None:
    admin = await people.join_as_admin(connection, BOB)
    user = await people.register(ADA)
    token = await people.log_in(ADA)
    key = (await people.create_key(token))["key"]
    path, caller = ("/auth/me", token) if by == "user" else (f"/admin/users/{user['id']}", admin)
    deleted = await people.call("DELETE", path, caller)
    assert deleted.status_code == 202
    answer = deleted.json()
    assert answer.keys() == {"id", "status", "requested_at", "done_at"}
    assert answer["status"] in ("deleting", "deleted")
    assert (answer["done_at"] is None) == (answer["status"] == "deleting")
    location = deleted.headers["location"]
    assert location == f"/auth/deletions/{answer['id']}"
    seen = await people.call("GET", location)
    assert (seen.status_code, seen.json()["requested_at"]) == (200, answer["requested_at"])
    assert [(await people.me(shown)).status_code for shown in (token, key)] == [401, 401]
    assert (await people.try_login(ADA)).status_code == 401
    left = str(await connection.fetch("SELECT u::text FROM users u WHERE deleted_at IS NOT NULL"))
    assert user["id"] in left
    assert ADA not in left
    assert "argon2" not in left
    assert await connection.fetchval("SELECT count(*) FROM api_keys") == 0
    again = await people.call("DELETE", f"/admin/users/{user['id']}", admin)
    assert again.status_code == 404
    newcomer = await people.register(ADA)
    assert newcomer["id"] != user["id"]


@pytest.mark.parametrize("id", ["x", "4e3fb0d5-3c7c-4a2b-9d51-9e4f6f1d0001"])
async def test_a_deletion_that_never_was_is_not_found(people: People, id: str) -> None:
    user = await people.register()
    for path in (id, user["id"]):
        answer = await people.call("GET", f"/auth/deletions/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
