"""Pages that mean harm, in the browser of somebody who has the API on their machine."""

from collections.abc import AsyncIterator, Mapping

import asyncpg
import httpx
import pytest

from api_service.edge.session_cookie import COOKIE_NAME, SECURE_COOKIE_NAME
from tests.support.accounts import Accounts, bearer
from tests.support.app_client import AppClient
from tests.support.site import Site

BODY = {"url": "https://a.example/"}
MULTIPART = "multipart/form-data; boundary=x"
FOREIGN: tuple[Mapping[str, str], ...] = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "SAME-ORIGIN"},
    {"Sec-Fetch-Site": ""},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://localhost:8001"},
    {"Origin": "https://localhost"},
    {"Origin": "http://localhost/"},
    {"Origin": "http://user@localhost"},
    {"Origin": "http://localhost, http://evil.example"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
)
OWN: tuple[Mapping[str, str], ...] = (
    {},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://localhost"},
    {"Origin": "http://localhost:80"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
)


@pytest.fixture
async def session(client: AppClient) -> dict[str, str]:
    """The cookie of a user who is logged in."""
    return {"Cookie": f"{COOKIE_NAME}={Accounts().serve(client.app).add(kind='pps')}"}


async def _rows(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM parse_requests"))


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_foreign_page_stores_nothing(
    client: AppClient,
    connection: asyncpg.Connection,
    session: dict[str, str],
    headers: Mapping[str, str],
) -> None:
    for cookie in ({}, session):
        for method, path in (("POST", "/parse_async"), ("DELETE", "/status/1")):
            answer = await client.request(method, path, json=BODY, headers={**headers, **cookie})
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
        assert (await client.get("/status/1", headers={**headers, **cookie})).status_code == 404
    assert await _rows(connection) == 0


@pytest.mark.parametrize("headers", OWN, ids=str)
async def test_our_own_page_and_programs_are_served(
    client: AppClient, session: dict[str, str], headers: Mapping[str, str]
) -> None:
    for cookie in ({}, session):
        answer = await client.post("/parse_async", json=BODY, headers={**headers, **cookie})
        assert answer.status_code == 202


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_bearer_token_is_not_a_browsers_doing(
    client: AppClient, headers: Mapping[str, str]
) -> None:
    shown = bearer(Accounts().serve(client.app).add())
    answer = await client.post("/parse_async", json=BODY, headers={**headers, **shown})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"url=https%3A%2F%2Fa.example%2F", "application/x-www-form-urlencoded"),
        (b'{"url": "https://a.example/"}', "text/plain"),
        (b'{"url": "https://a.example/", "x": "="}', "text/plain;charset=UTF-8"),
        (
            b'--x\r\nContent-Disposition: form-data; name="url"\r\n\r\nx\r\n--x--',
            "multipart/form-data",
        ),
    ],
)
@pytest.mark.parametrize(
    "told", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}], ids=str
)
async def test_a_simple_form_stores_nothing(
    client: AppClient,
    connection: asyncpg.Connection,
    content: bytes,
    kind: str,
    told: Mapping[str, str],
) -> None:
    """What a browser sends to other sites without asking them first."""
    answer = await client.post(
        "/parse_async", content=content, headers={"Content-Type": kind, **told}
    )
    assert answer.status_code == (403 if told else 422)
    assert await _rows(connection) == 0


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_name_that_was_rebound_to_this_machine_reads_and_stores_nothing(
    client: AppClient, connection: asyncpg.Connection, method: str
) -> None:
    """The page and the API then have the same origin: only Host tells."""
    accepted = await client.post("/parse_async", json=BODY)
    path = f"/status/{accepted.json()['request_id']}" if method == "GET" else "/parse_async"
    headers = {
        "Host": "evil.example:8000",
        "Origin": "http://evil.example:8000",
        "Sec-Fetch-Site": "same-origin",
    }
    answer = await client.request(method, path, json=BODY, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert await _rows(connection) == 1


async def test_a_cookie_that_another_site_sends_acts_not(
    client: AppClient, session: dict[str, str]
) -> None:
    for headers in FOREIGN:
        answer = await client.post("/parse_async", json=BODY, headers={**headers, **session})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers  # nor does it end the session


async def test_a_foreign_page_has_the_service_fetch_nothing(client: AppClient, site: Site) -> None:
    """An image's address is enough for a GET."""
    asked = []
    site.page("/fetch", "x")
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = await client.get("/parse_sync", params=BODY, headers=headers)
        asked.append((answer.status_code, answer.json()["code"]))
    assert asked == [(403, "cross_site")] * 2


@pytest.mark.parametrize(
    ("scheme", "host", "origin", "status"),
    [
        ("https", "parser.example.org", "https://parser.example.org", 202),
        ("https", "parser.example.org", "https://parser.example.org:443", 202),
        ("https", "parser.example.org:443", "https://parser.example.org", 202),
        ("https", "parser.example.org", "http://parser.example.org", 403),
        ("http", "parser.example.org", "https://parser.example.org", 403),
        ("http", "PARSER.example.org:8080", "http://parser.example.org:8080", 202),
        ("http", "parser.example.org", "http://parser.example.org:8080", 403),
        ("http", "[::1]:8000", "http://[::1]:8000", 202),
    ],
)
async def test_the_origin_is_the_scheme_and_the_host_of_the_request(
    client: AppClient, scheme: str, host: str, origin: str, status: int
) -> None:
    token = Accounts().serve(client.app).add(kind="pps")
    name = SECURE_COOKIE_NAME if scheme == "https" else COOKIE_NAME
    headers = {"Host": host, "Origin": origin, "Cookie": f"{name}={token}"}
    answer = await client.post(f"{scheme}://localhost/parse_async", json=BODY, headers=headers)
    assert answer.status_code == status


class WatchedBody(httpx.AsyncByteStream):
    """Tell whether anybody read it."""

    was_read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.was_read = True
        yield b"{}"


@pytest.mark.parametrize(("told", "status"), [({}, 422), (FOREIGN[0], 403)])
async def test_the_body_of_what_is_refused_is_not_read(
    client: AppClient, told: Mapping[str, str], status: int
) -> None:
    body = WatchedBody()
    answer = await client.send(
        httpx.Request(
            "POST",
            "http://localhost/parse_async",
            headers={"Host": "localhost", **told},
            stream=body,
        )
    )
    assert (answer.status_code, body.was_read) == (status, status == 422)
