"""A request belongs to its caller: nobody else sees that it exists."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import Request

from api_service.assembly.worker import WorkerContext
from api_service.caller import ANONYMOUS, Caller
from api_service.dependencies import current_caller
from api_service.edge.session_cookie import COOKIE_NAME
from api_service.parser_client.messages import SuccessResult
from tests.support.accounts import Accounts, bearer
from tests.support.app_client import AppClient, OpenApp

ADA, BOB = uuid4(), uuid4()
PAGE = SuccessResult(status="success", title="A", html="<p>")


async def _from_header(request: Request) -> Caller:
    owner = request.headers.get("x-owner")
    return Caller(UUID(owner)) if owner else ANONYMOUS


@pytest.fixture
async def client(open_api: OpenApp) -> AsyncIterator[AppClient]:
    """An API whose callers say who they are."""
    async with open_api() as opened:
        opened.app.dependency_overrides[current_caller] = _from_header
        yield opened


def _as(owner: UUID | None) -> dict[str, str]:
    return {"x-owner": str(owner)} if owner else {}


async def _submit(client: httpx.AsyncClient, owner: UUID | None) -> int:
    response = await client.post(
        "/parse_async", json={"url": "https://a.example/"}, headers=_as(owner)
    )
    request_id: int = response.json()["request_id"]
    return request_id


@pytest.mark.parametrize("path", ["status", "result"])
@pytest.mark.parametrize("wait", ["", "?wait=0.1"])
@pytest.mark.parametrize("owner", [None, ADA])
async def test_a_request_is_there_for_its_caller_only(
    client: httpx.AsyncClient, path: str, wait: str, owner: UUID | None
) -> None:
    request_id = await _submit(client, owner)
    for caller in (None, ADA, BOB):
        answer = await client.get(f"/{path}/{request_id}{wait}", headers=_as(caller))
        nothing = await client.get(f"/{path}/{10**9}{wait}", headers=_as(caller))
        assert nothing.status_code == 404
        if caller == owner:
            assert answer.status_code == 200
        else:
            assert (answer.status_code, answer.json()) == (404, nothing.json())


async def test_what_is_read_for_several_callers_at_once_does_not_mix(
    client: httpx.AsyncClient,
) -> None:
    owners = [None, ADA, BOB]
    ids = {owner: await _submit(client, owner) for owner in owners}
    asked = [(caller, owner) for caller in owners for owner in owners for _ in range(5)]
    answers = await asyncio.gather(
        *(client.get(f"/status/{ids[owner]}", headers=_as(caller)) for caller, owner in asked)
    )
    for (caller, owner), answer in zip(asked, answers, strict=True):
        assert answer.status_code == (200 if caller == owner else 404)


async def test_the_page_of_another_stays_hidden_when_it_is_there(
    client: httpx.AsyncClient, jobs: WorkerContext
) -> None:
    request_id = await _submit(client, ADA)
    await jobs.handover.hand_over_pending([request_id])
    await jobs.endings.record({request_id: PAGE})
    assert (await client.get(f"/result/{request_id}", headers=_as(ADA))).json()["html"] == "<p>"
    assert (await client.get(f"/result/{request_id}", headers=_as(BOB))).status_code == 404
    assert (await client.get(f"/result/{request_id}")).status_code == 404


async def test_keys_are_for_the_caller_who_sent_them(client: httpx.AsyncClient) -> None:
    body, key = {"url": "https://a.example/"}, {"Idempotency-Key": "k"}
    ids: dict[UUID | None, set[int]] = {}
    for owner in (None, ADA, BOB):
        for _ in range(2):
            answer = await client.post("/parse_async", json=body, headers=_as(owner) | key)
            ids.setdefault(owner, set()).add(answer.json()["request_id"])
    assert all(len(found) == 1 for found in ids.values())
    assert len(set.union(*ids.values())) == 3


async def test_credentials_cannot_name_the_scope_of_another_caller(
    client: AppClient,
) -> None:
    spoken = [f"owner {ADA}", "host 127.0.0.1", "host 192.0.2.1", "Digest one"]
    tagged = [f"credentials {text}" for text in spoken]
    callers: list[dict[str, str]] = [_as(None), _as(ADA), {"Authorization": "credentials "}]
    callers += [
        {"Authorization": text}
        for text in (*spoken, *tagged, *(f"credentials {text}" for text in tagged))
    ]
    body, key = {"url": "https://a.example/"}, {"Idempotency-Key": "k"}
    ids: dict[int, set[int]] = {}
    for _ in range(2):
        for number, headers in enumerate(callers):
            answer = await client.post("/parse_async", json=body, headers=headers | key)
            ids.setdefault(number, set()).add(answer.json()["request_id"])
    assert all(len(found) == 1 for found in ids.values())
    assert len(set.union(*ids.values())) == len(callers)


@pytest.fixture
async def open_door(open_api: OpenApp) -> AsyncIterator[AppClient]:
    """An API whose callers are found at its door."""
    async with open_api() as opened:
        yield opened


async def test_what_arrives_together_from_all_callers_is_stored_and_read_for_each(
    open_door: AppClient,
) -> None:
    accounts = Accounts().serve(open_door.app)
    callers = [{}, bearer(accounts.add()), bearer(accounts.add())]
    body = {"url": "https://a.example/"}
    sent = [number % 3 for number in range(60)]
    accepted = await asyncio.gather(
        *(open_door.post("/parse_async", json=body, headers=callers[who]) for who in sent)
    )
    ids = [answer.json()["request_id"] for answer in accepted]
    assert len(set(ids)) == 60
    asked = [
        (reader, owner, id) for owner, id in zip(sent, ids, strict=True) for reader in range(3)
    ]
    answers = await asyncio.gather(
        *(open_door.get(f"/status/{id}", headers=callers[reader]) for reader, _, id in asked)
    )
    for (reader, owner, id), answer in zip(asked, answers, strict=True):
        assert answer.status_code == (200 if reader == owner else 404)
        assert reader != owner or answer.json()["request_id"] == id


async def test_a_key_is_the_users_whatever_they_show(open_door: AppClient) -> None:
    accounts = Accounts().serve(open_door.app)
    session = accounts.add(ADA, kind="pps")
    cookie = {"Cookie": f"{COOKIE_NAME}={session}"}
    of_ada = [bearer(session), bearer(accounts.add(ADA)), cookie]
    of_ada.append(cookie | {"Authorization": "Basic b3BlbjpzZXNhbWU="})
    others = [{}, bearer(accounts.add()), {"Authorization": f"owner {ADA}"}]
    others.append({"Authorization": "Basic b3BlbjpzZXNhbWU="})
    body, key = {"url": "https://a.example/"}, {"Idempotency-Key": "k"}

    async def submit(shown: dict[str, str]) -> int:
        answer = await open_door.post("/parse_async", json=body, headers=shown | key)
        request_id: int = answer.json()["request_id"]
        return request_id

    assert len({await submit(shown) for shown in of_ada}) == 1
    assert len({await submit(shown) for shown in [*others, of_ada[0]]}) == len(others) + 1
