"""Register, log in, ask who one is, change the password, log out."""

import asyncpg
import pytest

from api_service.accounts.passwords import Passwords
from api_service.accounts.service import AccountService
from tests.api.accounts.conftest import OpenPeople
from tests.api.accounts.people import ADA, BOB, PASSWORD, People, bearer


async def test_a_registered_user_logs_in_and_is_known(people: People) -> None:
    user = await people.register("  Ada@Example.ORG ")
    assert user.keys() == {"id", "email", "role", "created_at"}
    assert (user["email"], user["role"]) == (ADA, "user")
    login = await people.try_login("ADA@example.org")
    assert login.headers["cache-control"] == "no-store"
    answer = login.json()
    assert answer.keys() == {"token", "token_type", "expires_at", "user"}
    assert (answer["token_type"], answer["user"]) == ("bearer", user)
    me = (await people.me(answer["token"])).json()
    assert me == {
        "id": user["id"],
        "email": ADA,
        "role": "user",
        "scopes": ["read", "write"],
        "limits": {
            "requests_per_minute": 60_000,
            "unfinished_requests": 100_000,
            "stored_bytes": 100 * 1024**3,
        },
        "usage": {"requests_per_minute": 1, "unfinished_requests": 0, "stored_bytes": 0},
    }


async def test_a_caller_without_an_account_is_nobody(people: People) -> None:
    me = (await people.me()).json()
    assert (me["id"], me["email"], me["role"]) == (None, None, None)
    assert me["scopes"] == ["read", "write"]
    assert set(me["limits"].values()) == set(me["usage"].values()) == {None}


async def test_an_address_has_one_account_however_it_is_written(people: People) -> None:
    await people.register(ADA)
    taken = await people.client.post(
        "/auth/register", json={"email": "ADA@EXAMPLE.org", "password": PASSWORD}
    )
    assert (taken.status_code, taken.json()["code"]) == (409, "email_taken")
    await people.log_in(ADA)


async def test_wrong_and_unknown_are_refused_alike(people: People) -> None:
    await people.register(ADA)
    wrong, unknown = await people.try_login(ADA, "wrong wrong"), await people.try_login(BOB)
    assert (wrong.status_code, wrong.json()["code"]) == (401, "bad_credentials")
    assert wrong.headers["www-authenticate"] == "Bearer"
    assert (unknown.status_code, unknown.json()) == (401, wrong.json())
    assert unknown.headers.keys() == wrong.headers.keys()


async def test_wrong_unknown_and_inactive_cost_one_hash_each(
    people: People, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await people.register(ADA)
    await people.register("idle@example.org")
    await connection.execute("UPDATE users SET is_active = false WHERE email LIKE 'idle@%'")
    passwords = people.app.state.collaborators.get(AccountService)._passwords
    checked: list[str] = []
    verify = passwords._hasher.verify

    def counted(stored_hash: str, given: bytes) -> bool:
        checked.append(stored_hash.rpartition("$")[0].rpartition("$")[0])
        return bool(verify(stored_hash, given))

    monkeypatch.setattr(type(passwords._hasher), "verify", staticmethod(counted))
    for email, password in ((ADA, "wrong wrong"), (BOB, PASSWORD), ("idle@example.org", PASSWORD)):
        checked.clear()
        assert (await people.try_login(email, password)).status_code == 401
        assert checked == ["$argon2id$v=19$m=19456,t=2,p=1"], email


async def test_a_logout_ends_its_session_only(people: People) -> None:
    first, second = await people.join(), await people.log_in()
    out = await people.call("POST", "/auth/logout", first)
    assert (out.status_code, out.content) == (204, b"")
    assert (await people.me(first)).status_code == 401
    assert (await people.me(second)).status_code == 200


async def test_a_changed_password_ends_all_other_sessions(people: People) -> None:
    shown, other = await people.join(), await people.log_in()
    key = await people.create_key(shown)
    body = {"current": PASSWORD, "new": "eight dry owls"}
    wrong = await people.call("POST", "/auth/password", shown, json=body | {"current": "no no no"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "bad_credentials")
    weak = await people.call("POST", "/auth/password", shown, json=body | {"new": "password1"})
    assert (weak.status_code, weak.json()["code"]) == (422, "weak_password")
    assert (await people.me(other)).status_code == 200
    changed = await people.call("POST", "/auth/password", shown, json=body)
    assert (changed.status_code, changed.content) == (204, b"")
    assert (await people.me(shown)).status_code == 200
    assert (await people.me(other)).status_code == 401
    assert (await people.me(key["key"])).status_code == 200
    assert (await people.try_login(password=PASSWORD)).status_code == 401
    await people.log_in(password="eight dry owls")


async def test_a_login_ends_the_oldest_of_too_many_sessions(
    people: People, connection: asyncpg.Connection
) -> None:
    oldest = await people.join()
    await connection.execute("UPDATE sessions SET created_at = now() - interval '1 minute'")
    await connection.execute(
        "INSERT INTO sessions (user_id, token_digest, expires_at, created_at)"
        " SELECT id, sha256(n::text::bytea), now() + interval '1 day', now() - n * interval '1 ms'"
        " FROM users, generate_series(1, 100) AS n"
    )
    await connection.execute(
        "INSERT INTO sessions (user_id, token_digest, expires_at, created_at)"
        " SELECT id, 'expired', now() - interval '1 day', now() - interval '31 days' FROM users"
    )
    last = await people.log_in()
    assert await connection.fetchval("SELECT count(*) FROM sessions") == 100
    assert (await people.me(last)).status_code == 200
    assert await connection.fetchval("SELECT count(*) FROM sessions WHERE expires_at < now()") == 0
    assert (await people.me(oldest)).status_code == 401


async def test_a_hash_with_older_parameters_is_renewed_at_the_next_login(
    people: People, connection: asyncpg.Connection
) -> None:
    await people.register()
    old = Passwords(rounds=1)
    weaker = await old.hash(PASSWORD)
    old.close()
    await connection.execute("UPDATE users SET password_hash = $1", weaker)
    assert (await people.try_login(password="wrong wrong")).status_code == 401
    assert await connection.fetchval("SELECT password_hash FROM users") == weaker
    await people.log_in()
    renewed = await connection.fetchval("SELECT password_hash FROM users")
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await people.log_in()
    assert await connection.fetchval("SELECT password_hash FROM users") == renewed
    assert await connection.fetchval("SELECT password_version FROM users") == 1


@pytest.mark.parametrize(("mode", "status"), [("open", 201), ("auto", 201), ("closed", 403)])
async def test_registration_is_as_open_as_the_setting_says(
    open_people: OpenPeople, mode: str, status: int
) -> None:
    async with open_people(registration=mode) as people:
        answer = await people.client.post(
            "/auth/register", json={"email": ADA, "password": PASSWORD}
        )
        assert answer.status_code == status
        assert status == 201 or answer.json()["code"] == "registration_closed"


async def test_a_browser_gets_a_cookie_that_no_script_reads(people: People) -> None:
    await people.register()
    body = {"email": ADA, "password": PASSWORD}
    begun = await people.client.post("/auth/session", json=body)
    assert (begun.status_code, begun.content) == (204, b"")
    cookie = begun.headers["set-cookie"]
    name, _, rest = cookie.partition("=")
    assert name == "page_parser_session"
    assert {part.strip().lower() for part in rest.split(";")[1:]} == {
        "httponly",
        "samesite=strict",
        "path=/",
        "max-age=2592000",
    }
    token = rest.partition(";")[0]
    assert (await people.me()).json()["email"] == ADA
    ended = await people.client.delete("/auth/session")
    assert (ended.status_code, ended.content) == (204, b"")
    assert 'page_parser_session=""' in ended.headers["set-cookie"]
    assert (await people.me(token)).status_code == 401
    assert (await people.client.delete("/auth/session")).status_code == 204


async def test_over_tls_the_cookie_is_bound_to_its_host(people: People) -> None:
    await people.register()
    people.client.base_url = "https://service"
    begun = await people.client.post("/auth/session", json={"email": ADA, "password": PASSWORD})
    cookie = begun.headers["set-cookie"]
    assert cookie.startswith("__Host-page_parser_session=pps_")
    assert "secure" in cookie.lower()
    assert "domain" not in cookie.lower()
    assert (await people.me()).json()["email"] == ADA
    ended = await people.client.delete("/auth/session")
    assert ended.headers["set-cookie"].startswith('__Host-page_parser_session="";')
    assert "secure" in ended.headers["set-cookie"].lower()


async def test_a_key_cannot_be_logged_out(people: People) -> None:
    key = await people.create_key(await people.join())
    refused = await people.client.post("/auth/logout", headers=bearer(key["key"]))
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert (await people.me(key["key"])).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth/logout"),
        ("POST", "/auth/password"),
        ("DELETE", "/auth/me"),
        ("GET", "/auth/keys"),
        ("POST", "/auth/keys"),
        ("DELETE", "/auth/keys/4e3fb0d5-3c7c-4a2b-9d51-9e4f6f1d0001"),
        ("GET", "/admin/users"),
        ("PATCH", "/admin/users/4e3fb0d5-3c7c-4a2b-9d51-9e4f6f1d0001"),
        ("DELETE", "/admin/users/4e3fb0d5-3c7c-4a2b-9d51-9e4f6f1d0001"),
    ],
)
async def test_what_is_for_users_asks_nobody_to_log_in(
    people: People, method: str, path: str
) -> None:
    bodies = {
        "/auth/password": {"current": "a", "new": "b"},
        "/auth/keys": {"name": "a"},
    }
    json = bodies.get(path, {}) if method in ("POST", "PATCH") else None
    answer = await people.call(method, path, json=json)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_browser_s_sessions_end_with_their_cookie(people: People) -> None:
    await people.register()
    cookies = []
    for _ in range(2):
        begun = await people.client.post("/auth/session", json={"email": ADA, "password": PASSWORD})
        assert begun.status_code == 204
        cookies.append(begun.cookies["page_parser_session"])
    # The second took the place of the first, which the client sent along.
    assert (await people.me(cookies[0])).status_code == 401
    token = await people.log_in()
    ended = await people.call("POST", "/auth/logout", token)
    assert ended.status_code == 204
    people.client.cookies.clear()
    assert (await people.me(cookies[1])).status_code == 401
    assert (await people.me(token)).status_code == 401
