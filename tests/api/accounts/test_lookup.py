"""The caller of a token: remembered for a moment, forgotten in every process when they change."""

import asyncio
from collections.abc import Callable, Iterator
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from api_service.accounts import lookup as module
from api_service.accounts.lookup import CallerDirectory
from api_service.accounts.tokens import TokenKind, make_token
from api_service.caller import CallerLookup, Scope
from api_service.exceptions import DatabaseUnavailableError
from tests.api.accounts.conftest import OpenPeople
from tests.api.accounts.people import ADA, BOB, PASSWORD, People
from tests.support.waiting import until


def _directory(people: People) -> CallerDirectory:
    find = people.app.state.collaborators.get(CallerLookup).find
    directory: CallerDirectory = find.__self__
    return directory


@pytest.fixture
def lookups() -> Iterator[list[int]]:
    """The number of tokens in each statement that looks up tokens."""
    seen: list[int] = []

    def note(
        _connection: object, _cursor: object, statement: str, parameters: object, *_: object
    ) -> None:
        if "unnest" in statement and "api_keys" in statement:
            assert isinstance(parameters, tuple)
            seen.append(len(parameters[0]))

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


async def test_a_caller_has_the_limits_of_the_user(
    people: People, connection: asyncpg.Connection
) -> None:
    token = await people.join()
    await connection.execute(
        'UPDATE users SET limits = \'{"stored_bytes": 5, "unfinished_requests": -1, "x": 2}\''
    )
    caller = await _directory(people).find(token)
    assert caller is not None
    assert caller.owner_id == UUID((await people.me(token)).json()["id"])
    assert caller.scopes == {Scope.READ, Scope.WRITE}
    assert (caller.limits.stored_bytes, caller.limits.unfinished_requests) == (5, 100_000)
    assert (caller.credential_id or "").startswith("session-")


async def test_a_caller_is_looked_up_once_in_a_while(people: People, lookups: list[int]) -> None:
    token = await people.join()
    directory = _directory(people)
    lookups.clear()
    for _ in range(50):
        assert await directory.find(token) is not None
    assert lookups == [1]


async def test_garbage_never_reaches_the_database(people: People, lookups: list[int]) -> None:
    directory = _directory(people)
    for text in ("", "x", "pps_" + "a" * 38, "p" * 6000, "\ud800"):
        assert await directory.find(text) is None
    assert lookups == []


async def test_made_up_tokens_share_statements_and_push_nobody_out(
    people: People, lookups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await people.join()
    directory = _directory(people)
    assert await directory.find(token) is not None
    lookups.clear()
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    made_up = [make_token(TokenKind.KEY) for _ in range(1000)]
    found = await asyncio.gather(*(directory.find(text) for text in [*made_up, token]))
    assert (found[:-1], found[-1] is None) == ([None] * 1000, False)
    assert sum(lookups) == 1000
    assert len(lookups) <= 4
    assert len(directory._remembered) == 1


async def test_the_memory_of_callers_is_bounded(
    people: People, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    await people.register()
    tokens = [await people.log_in() for _ in range(5)]
    directory = _directory(people)
    await asyncio.gather(*(directory.find(token) for token in tokens))
    assert len(directory._remembered) == 3
    assert all(await asyncio.gather(*(directory.find(token) for token in tokens)))


async def _dies_within_a_second(people: People, token: str) -> None:
    async def is_dead() -> bool:
        return (await people.me(token)).status_code == 401

    await until(is_dead, seconds=1)


CHANGES: dict[str, Callable[[People, str, str], object]] = {
    "logout": lambda people, token, _: people.call("POST", "/auth/logout", token),
    "deleted account": lambda people, token, _: people.call("DELETE", "/auth/me", token),
    "other password": lambda people, _, other: people.call(
        "POST", "/auth/password", other, json={"current": PASSWORD, "new": "eight dry owls"}
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_ends_a_session_in_one_process_ends_it_in_the_others(
    open_people: OpenPeople, change: str
) -> None:
    async with open_people() as here, open_people() as there:
        token, other = await here.join(), await here.log_in()
        for people in (here, there):
            assert (await people.me(token)).status_code == 200
        await CHANGES[change](here, token, other)  # type: ignore[misc]
        assert (await here.me(token)).status_code == 401
        await _dies_within_a_second(there, token)


async def test_a_deleted_key_is_dead_in_the_other_processes(open_people: OpenPeople) -> None:
    async with open_people() as here, open_people() as there:
        session = await here.join()
        key = await here.create_key(session)
        assert (await there.me(key["key"])).status_code == 200
        await here.call("DELETE", f"/auth/keys/{key['id']}", session)
        await _dies_within_a_second(there, key["key"])


async def test_a_deactivated_user_is_out_everywhere(
    open_people: OpenPeople, connection: asyncpg.Connection
) -> None:
    async with open_people() as here, open_people() as there:
        admin = await here.join_as_admin(connection, BOB)
        user = await here.register(ADA)
        token = await here.log_in(ADA)
        key = (await here.create_key(token))["key"]
        for people in (here, there):
            assert (await people.me(key)).status_code == 200
        path = f"/admin/users/{user['id']}"
        await here.call("PATCH", path, admin, json={"is_active": False})
        assert [(await here.me(shown)).status_code for shown in (token, key)] == [401, 401]
        assert (await here.try_login(ADA)).status_code == 401
        await _dies_within_a_second(there, key)
        await here.call("PATCH", path, admin, json={"is_active": True})
        assert [(await here.me(shown)).status_code for shown in (token, key)] == [401, 200]
        await here.log_in(ADA)


async def test_without_notices_a_change_is_seen_after_five_seconds(
    people: People, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    token = await people.join()
    directory = _directory(people)
    assert await directory.find(token) is not None
    await connection.execute("DELETE FROM sessions")  # and no notice of it
    now += 4.9
    assert await directory.find(token) is not None
    now += 0.2
    assert await directory.find(token) is None


async def test_what_was_missed_while_not_listening_is_looked_up_anew(
    people: People, connection: asyncpg.Connection
) -> None:
    token = await people.join()
    directory = _directory(people)
    assert await directory.find(token) is not None
    killed = await connection.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE 'LISTEN accounts_changed%'"
        " OR query LIKE 'LISTEN \"accounts_changed\"%'"
    )
    assert killed == 1
    await connection.execute("DELETE FROM sessions")
    await until(lambda: not directory._remembered, seconds=4)
    assert await directory.find(token) is None


async def test_a_change_during_a_look_up_is_not_remembered_as_it_was(people: People) -> None:
    token = await people.join()
    directory = _directory(people)
    await directory.find(token)
    directory.forget_all()
    looking = asyncio.create_task(directory.find(token))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    directory.forget(UUID(int=1))
    assert await looking is not None
    assert not directory._remembered


async def test_notices_of_other_programs_change_nothing(
    people: People, connection: asyncpg.Connection, lookups: list[int]
) -> None:
    token = await people.join()
    directory = _directory(people)
    await directory.find(token)
    lookups.clear()
    for payload in ("", "x", "\u00e9" * 1000, "1,2"):
        await connection.execute("SELECT pg_notify('accounts_changed', $1)", payload)
    await connection.execute("SELECT pg_notify('accounts_changed', $1)", str(UUID(int=5)))
    await until(lambda: directory._changes > 1, seconds=4)
    assert await directory.find(token) is not None
    assert lookups == []


async def test_without_the_database_known_callers_are_served_for_a_moment(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, other = await people.join(), await people.log_in()
    directory = _directory(people)
    await directory.find(token)

    def unreachable() -> None:
        raise DatabaseUnavailableError

    monkeypatch.setattr(directory._database, "read_session", unreachable)
    assert await directory.find(token) is not None
    with pytest.raises(DatabaseUnavailableError):
        await directory.find(other)
