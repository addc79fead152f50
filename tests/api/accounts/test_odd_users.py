"""Rows that somebody else wrote cost themselves only."""

import asyncpg
import pytest

from tests.api.accounts.people import ADA, BOB, People

ODD_ROWS = {
    "a limit of many digits": "limits = '{\"requests_per_minute\": 1e5000}'",
    "limits that are no object": "limits = '[1]'",
    "created before Christ": "created_at = '0044-03-15 BC'",
    "created in the year 20000": "created_at = '20000-01-01'",
    "created at infinity": "created_at = 'infinity'",
    "the last version of a password": "password_version = 2147483647",
}


@pytest.mark.parametrize("change", ODD_ROWS.values(), ids=ODD_ROWS.keys())
async def test_an_odd_user_is_served_and_administered(
    people: People, connection: asyncpg.Connection, change: str
) -> None:
    admin = await people.join_as_admin(connection, BOB)
    token = await people.join()
    await connection.execute(f"UPDATE users SET {change} WHERE email = $1", ADA)
    session = await people.log_in()
    assert (await people.me(session)).json()["limits"]["requests_per_minute"] == 60_000
    listed = await people.call("GET", "/admin/users?limit=1", admin)
    assert listed.status_code == 200
    rest = await people.call("GET", f"/admin/users?cursor={listed.json()['next_cursor']}", admin)
    assert rest.status_code == 200
    changed = await people.call(
        "POST", "/auth/password", session, json={"current": "seven wet owls", "new": "six odd owls"}
    )
    assert changed.status_code == 204
    assert (await people.me(token)).status_code == 401


async def test_a_key_with_odd_times_is_served(
    people: People, connection: asyncpg.Connection
) -> None:
    session = await people.join()
    key = (await people.create_key(session))["key"]
    await connection.execute(
        "UPDATE api_keys SET expires_at = 'infinity', last_used_at = '0044-03-15 BC'"
    )
    assert (await people.me(key)).status_code == 200
    assert (await people.call("GET", "/auth/keys", session)).status_code == 200
