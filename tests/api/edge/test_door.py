"""Tokens, cookies and scopes: who may do what, and what a wrong token gets."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api_service.caller import CallerLookup, Scope
from api_service.edge.door import Door, DoorMiddleware
from api_service.edge.session_cookie import COOKIE_NAME, SECURE_COOKIE_NAME
from api_service.exceptions import DatabaseUnavailableError
from tests.support.accounts import Accounts, bearer
from tests.support.app_client import AppClient, OpenApp

BODY = {"url": "https://a.example/"}
METRICS_TOKEN = "pps_for-prometheus-only"


@pytest.fixture
async def shut(open_api: OpenApp) -> AsyncIterator[AppClient]:
    """An API that admits nobody without an account."""
    async with open_api(auth="required", metrics_token=METRICS_TOKEN) as opened:
        yield opened


@pytest.fixture
def accounts(shut: AppClient) -> Accounts:
    return Accounts().serve(shut.app)


def _is_refused(answer: httpx.Response, status: int, code: str) -> bool:
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.headers.get("www-authenticate") == "Bearer") == (status == 401)
    assert answer.headers["cache-control"] == "no-store"
    return (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("path", ["/status/1", "/parse_sync?url=x", "/nowhere", "/", "/metrics"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "BREW"])
async def test_what_is_not_public_is_shut_whether_it_exists_or_not(
    shut: AppClient, accounts: Accounts, method: str, path: str
) -> None:
    answer = await shut.request(method, path)
    assert answer.status_code == 401
    assert method == "HEAD" or _is_refused(answer, 401, "not_authenticated")


@pytest.mark.parametrize(
    "path", ["/health/", "//health", "/HEALTH", "/health/x", "/docs/../status/1", "/docs/x/y"]
)
async def test_only_the_path_of_a_public_call_is_public(shut: AppClient, path: str) -> None:
    assert (await shut.get(f"http://localhost{path}")).status_code in (401, 404)
    answer = await shut.request("POST", "/health")
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/health", "/openapi.json", "/docs", "/docs/start.js"])
async def test_public_calls_look_at_no_token(
    shut: AppClient, accounts: Accounts, path: str
) -> None:
    for method in ("GET", "HEAD"):
        answer = await shut.request(method, path, headers=bearer("ppk_wrong"))
        assert answer.status_code == 200
    assert accounts.asked == []


@pytest.mark.parametrize(
    "authorization",
    [
        *("Bearer", "Bearer ", "bearer ppk_wrong", "BEARER  ppk_wrong", "Bearer ppk_wrong x"),
        *("Bearer ppk_" + "x" * 6000, "Bearer ppk_ä", "Bearer ppk_\x00", "Bearer \x7f"),
    ],
)
async def test_a_wrong_token_never_makes_anonymous(client: AppClient, authorization: str) -> None:
    accounts = Accounts().serve(client.app)
    assert (await client.get("/status/1")).status_code == 404
    headers = [(b"Authorization", authorization.encode("latin-1"))]
    for call in (("GET", "/status/1"), ("POST", "/parse_async"), ("GET", "/nowhere")):
        answer = await client.request(*call, headers=headers)
        assert _is_refused(answer, 401, "not_authenticated")
    assert all(len(token) < 300 for token in accounts.asked)


async def test_two_tokens_are_none(client: AppClient) -> None:
    accounts = Accounts().serve(client.app)
    token = accounts.add()
    twice = [(b"Authorization", f"Bearer {one}".encode()) for one in (token, "ppk_other")]
    assert (await client.get("/status/1", headers=bearer(token))).status_code == 404
    for headers in (twice, twice[::-1]):
        assert (await client.get("/status/1", headers=headers)).status_code == 401


@pytest.mark.parametrize("scheme", ["Basic", "Digest", "Negotiate", "Bearers"])
async def test_other_schemes_are_left_to_proxies(
    client: AppClient, shut: AppClient, scheme: str
) -> None:
    headers = {"Authorization": f"{scheme} b3BlbjpzZXNhbWU="}
    assert (await client.get("/status/1", headers=headers)).status_code == 404
    assert (await shut.get("/status/1", headers=headers)).status_code == 401


async def test_a_users_token_opens_what_its_scopes_say(shut: AppClient, accounts: Accounts) -> None:
    read, write = frozenset({Scope.READ}), frozenset({Scope.WRITE})
    reader, writer, both = (accounts.add(scopes=s) for s in (read, write, read | write))
    calls: tuple[tuple[str, str, dict[str, Any], set[str]], ...] = (
        ("GET", "/status/1", {}, {reader, both}),
        ("HEAD", "/result/1", {}, {reader, both}),
        ("POST", "/parse_async", {"json": BODY}, {writer, both}),
        ("GET", "/parse_sync?url=no", {}, {writer, both}),
        ("DELETE", "/status/1", {}, {writer, both}),
        ("GET", "/admin/anything", {}, set()),
        ("POST", "/admin/anything", {}, set()),
        ("GET", "/metrics", {}, set()),
    )
    for method, path, options, allowed in calls:
        for token in (reader, writer, both):
            answer = await shut.request(method, path, headers=bearer(token), **options)
            assert (answer.status_code != 403) == (token in allowed), (method, path)
            if token not in allowed and method != "HEAD":
                assert _is_refused(answer, 403, "not_allowed")
    admin = accounts.add(scopes=frozenset(Scope))
    assert (await shut.get("/admin/anything", headers=bearer(admin))).status_code == 404
    assert (await shut.get("/metrics", headers=bearer(admin))).status_code == 200


async def test_anonymous_callers_at_an_administrators_call_are_not_authenticated(
    client: AppClient,
) -> None:
    assert _is_refused(await client.get("/admin/anything"), 401, "not_authenticated")


async def test_metrics_have_a_token_of_their_own(shut: AppClient, accounts: Accounts) -> None:
    told = bearer(METRICS_TOKEN)
    assert (await shut.get("/metrics", headers=told)).status_code == 200
    assert (await shut.head("/metrics", headers=told)).status_code == 200
    for call in (("GET", "/status/1"), ("POST", "/metrics"), ("GET", "/admin/users")):
        assert (await shut.request(*call, headers=told)).status_code == 401
    for wrong in (METRICS_TOKEN[:-1], METRICS_TOKEN + "x", METRICS_TOKEN.upper()):
        assert (await shut.get("/metrics", headers=bearer(wrong))).status_code == 401
    cookie = {"Cookie": f"{COOKIE_NAME}={METRICS_TOKEN}"}
    assert (await shut.get("/metrics", headers=cookie)).status_code == 401


async def test_without_a_token_for_metrics_there_is_none(client: AppClient) -> None:
    assert (await client.get("/metrics")).status_code == 200  # as a laptop's owner
    assert (await client.get("/metrics", headers=bearer("None"))).status_code == 401


async def test_a_cookie_is_a_session(shut: AppClient, accounts: Accounts) -> None:
    session, key = accounts.add(kind="pps"), accounts.add(kind="ppk")

    async def status(*cookies: str, https: bool = False) -> int:
        url = f"http{'s' * https}://localhost/status/1"
        headers = [(b"Cookie", cookie.encode()) for cookie in cookies]
        return (await shut.get(url, headers=headers)).status_code

    plain, secure = f"{COOKIE_NAME}={session}", f"{SECURE_COOKIE_NAME}={session}"
    assert await status(plain) == 404
    assert await status(f"a=b; {plain}; c") == 404
    assert await status("a=b", plain) == 404
    assert await status(secure, https=True) == 404
    assert await status(plain, https=True) == 401  # any page of the host could have set it
    assert await status(secure) == 401
    assert await status(f"{COOKIE_NAME}={key}") == 401
    assert await status(f"{plain}; {COOKIE_NAME}=pps_planted") == 401
    assert await status(f"x{plain}") == 401


@pytest.mark.parametrize(("scheme", "secure"), [("http", ""), ("https", "; Secure")])
async def test_a_dead_cookie_is_cleared(client: AppClient, scheme: str, secure: str) -> None:
    Accounts().serve(client.app)
    name = SECURE_COOKIE_NAME if secure else COOKIE_NAME
    answer = await client.get(f"{scheme}://localhost/status/1", headers={"Cookie": f"{name}=pps_x"})
    assert _is_refused(answer, 401, "not_authenticated")
    assert answer.headers["set-cookie"] == (
        f"{name}=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict{secure}"
    )


async def test_a_token_wins_over_a_cookie(shut: AppClient, accounts: Accounts) -> None:
    session = accounts.add(kind="pps")
    headers = {"Cookie": f"{COOKIE_NAME}={session}"} | bearer("ppk_wrong")
    answer = await shut.get("/status/1", headers=headers)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
async def test_a_websocket_is_shut_as_well(shut: AppClient, extensions: dict[str, Any]) -> None:
    async def never() -> Any:
        raise AssertionError

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/ws/notifications",
        "scheme": "ws",
        "headers": [(b"host", b"localhost")],
        "extensions": extensions,
        "app": shut.app,
    }
    rules = DoorMiddleware(shut.app, shut.app._rules)  # type: ignore[attr-defined]
    await rules(scope, never, send)
    if extensions:
        assert (sent[0]["type"], sent[0]["status"]) == ("websocket.http.response.start", 401)
    else:
        assert sent == [{"type": "websocket.close"}]


async def test_who_calls_is_the_owner_whatever_they_show(
    shut: AppClient, accounts: Accounts
) -> None:
    ada = uuid4()
    session, key, other = accounts.add(ada, kind="pps"), accounts.add(ada), accounts.add()
    accepted = await shut.post("/parse_async", json=BODY, headers=bearer(key))
    path = f"/status/{accepted.json()['request_id']}"
    assert (await shut.get(path, headers=bearer(session))).status_code == 200
    cookie = {"Cookie": f"{COOKIE_NAME}={session}"}
    assert (await shut.get(path, headers=cookie)).status_code == 200
    assert (await shut.get(path, headers=bearer(other))).status_code == 404


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DatabaseUnavailableError(), 503, "database_unavailable"),
        (RuntimeError("a fault"), 500, "internal_error"),
    ],
)
async def test_who_cannot_be_found_out_is_not_let_in(
    client: AppClient, error: Exception, status: int, code: str
) -> None:
    async def fail(_: str) -> None:
        raise error

    client.app.state.collaborators.get(Door)._lookup = CallerLookup(fail)
    answer = await client.get("/status/1", headers=bearer("ppk_x"))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.get("/status/1")).status_code == 404
