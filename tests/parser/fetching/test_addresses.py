"""No refused address is ever dialled: names, literals, redirects, rebinding, robots.txt."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_address
from itertools import cycle
from time import perf_counter

import pytest

from parser_service.config import Settings
from parser_service.dependencies import open_pipeline
from parser_service.exceptions import FetchError
from parser_service.fetching.url_guard import is_public
from tests.support.cases import cases
from tests.support.dialler import recording_socket
from tests.support.dns import NXDOMAIN, SERVFAIL, NameServer, open_name_server
from tests.support.pages import Pages
from tests.support.site import Site

PUBLIC, PUBLIC_6 = "203.0.114.7", "2606:4700::1111"


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    async with open_name_server() as server:
        yield server


Dialled = list[tuple[str, int]]


@pytest.fixture
async def guarded(
    redis_url: str, site: Site, names: NameServer
) -> AsyncIterator[tuple[Pages, Dialled]]:
    """A parser with no exceptions to its table, whose dials go to the site of the test."""
    settings = Settings(
        redis_url=redis_url,
        fetch_nameservers=(names.address,),
        fetch_timeout=3,
        fetch_dns_timeout=1,
        fetch_connect_timeout=1,
    )
    sockets, dialled = recording_socket(site.port)
    async with open_pipeline(settings, socket_class=sockets) as handler:
        yield Pages(handler), dialled


async def _code(pages: Pages, url: str) -> str:
    try:
        await pages.get(url)
    except FetchError as error:
        betrayed = [word for word in ("127.", "10.", "169.", "internal") if word in error.message]
        return f"betrays {betrayed}" if betrayed else error.code
    return "success"


async def test_a_public_name_is_dialled_at_the_address_that_was_vetted(
    guarded: tuple[Pages, Dialled], names: NameServer, site: Site
) -> None:
    pages, dialled = guarded
    names.names["a.example"] = [PUBLIC]
    site.page("/", "<title>A</title>")
    assert (await pages.get("http://a.example/")).title == "A"
    assert dialled == [(PUBLIC, 80)]
    assert "host: a.example\r\n" in site.requests[0].lower()


async def test_a_public_ipv6_address_is_dialled(
    guarded: tuple[Pages, Dialled], names: NameServer, site: Site
) -> None:
    pages, dialled = guarded
    names.names["six.example"] = [PUBLIC_6]
    site.page("/", "<title>A</title>")
    await _code(pages, "http://six.example/")
    await _code(pages, f"http://[{PUBLIC_6}]/")
    assert set(dialled) == {(PUBLIC_6, 80)}


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["fd00:ec2::254"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::a00:1"],
        ["2002:a00:1::"],
        [PUBLIC, "10.0.0.1"],
        [PUBLIC, "::1"],
        [PUBLIC] * 40 + ["192.168.1.1"],
        ["internal.example", "10.0.0.1"],
    ],
    ids=lambda addresses: ",".join(addresses[-2:]),
)
async def test_a_name_with_any_refused_address_is_never_dialled(
    guarded: tuple[Pages, Dialled], names: NameServer, addresses: list[str]
) -> None:
    pages, dialled = guarded
    names.names["bad.example"] = addresses
    assert await _code(pages, "http://bad.example/") == "dns_error"
    assert await _code(pages, "https://bad.example/") == "dns_error"
    assert dialled == []


async def test_a_name_that_changes_its_address_does_not_get_in(
    guarded: tuple[Pages, Dialled], names: NameServer, site: Site
) -> None:
    pages, dialled = guarded
    answers = cycle([[PUBLIC], ["127.0.0.1"]])
    names.names["rebinding.example"] = lambda: next(answers)
    site.page("/", "<title>A</title>")
    for _ in range(6):
        await _code(pages, "http://rebinding.example/")
    assert {host for host, _ in dialled} <= {PUBLIC}


@pytest.mark.parametrize("name", ["redis", "db", "localhost", "postgres", "parser"])
async def test_names_of_the_inside_are_not_reached(
    guarded: tuple[Pages, Dialled], names: NameServer, name: str
) -> None:
    pages, dialled = guarded
    names.names[name] = ["172.18.0.2"]
    expected = "blocked_address" if name == "localhost" else "dns_error"
    assert await _code(pages, f"http://{name}/") == expected
    assert dialled == []


@pytest.mark.parametrize("answer", [NXDOMAIN, []])
async def test_a_name_of_the_inside_fails_as_one_that_does_not_exist(
    guarded: tuple[Pages, Dialled], names: NameServer, answer: object
) -> None:
    pages, _ = guarded
    names.names["db.internal"] = ["10.0.0.7"]
    names.names["nothing.internal"] = answer  # type: ignore[assignment]
    failures = []
    for name in ("db.internal", "nothing.internal"):
        with pytest.raises(FetchError) as caught:
            await pages.get(f"http://{name}/")
        error = caught.value
        failures.append((error.code, error.message, error.retryable))
    assert failures[0] == failures[1]


@pytest.mark.parametrize(
    ("answer", "retryable"), [(NXDOMAIN, False), ([], False), (SERVFAIL, True), (None, True)]
)
async def test_a_name_without_an_address_is_a_dns_error(
    guarded: tuple[Pages, Dialled], names: NameServer, answer: object, retryable: bool
) -> None:
    pages, dialled = guarded
    names.names["none.example"] = answer  # type: ignore[assignment]
    with pytest.raises(FetchError) as caught:
        await pages.get("http://none.example/")
    assert (caught.value.code, caught.value.retryable) == ("dns_error", retryable)
    assert dialled == []


async def test_fifty_hanging_names_do_not_delay_the_others(
    guarded: tuple[Pages, Dialled], names: NameServer, site: Site
) -> None:
    pages, _ = guarded
    site.page("/", "<title>A</title>")
    for n in range(50):
        names.names[f"hanging{n}.example"] = None
    names.names["good.example"] = [PUBLIC]
    hanging = [asyncio.create_task(_code(pages, f"http://hanging{n}.example/")) for n in range(50)]
    await asyncio.sleep(0.1)
    started = perf_counter()
    assert await _code(pages, "http://good.example/") == "success"
    assert perf_counter() - started < 0.5
    assert set(await asyncio.gather(*hanging)) == {"dns_error"}
    assert perf_counter() - started < 2


async def test_many_addresses_do_not_outlast_the_deadline(
    guarded: tuple[Pages, Dialled], names: NameServer, site: Site
) -> None:
    pages, _ = guarded
    names.names["many.example"] = [f"203.0.114.{n}" for n in range(20)]
    site.page("/", "<title>A</title>")
    assert await _code(pages, "http://many.example/") == "success"


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "//127.0.0.1/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:169.254.169.254]/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://internal.example/",
        "\\\\127.0.0.1\\",
        "http:\\\\127.0.0.1\\",
        "https://127.0.0.1/",
        "http://a.example:22/",
    ],
)
async def test_a_redirect_to_a_refused_address_is_never_dialled(
    guarded: tuple[Pages, Dialled], names: NameServer, site: Site, target: str
) -> None:
    pages, dialled = guarded
    names.names["a.example"] = [PUBLIC]
    names.names["internal.example"] = ["10.1.2.3"]
    site.respond("/", 302, b"", {"Location": target})
    expected = "dns_error" if "internal" in target else "blocked_address"
    assert await _code(pages, "http://a.example/") == expected
    assert dialled == [(PUBLIC, 80)]


async def test_robots_txt_is_fetched_through_the_same_guard(
    guarded: tuple[Pages, Dialled], names: NameServer, site: Site
) -> None:
    pages, dialled = guarded
    names.names["a.example"] = [PUBLIC]
    site.respond("/robots.txt", 302, b"", {"Location": "http://127.0.0.1/robots.txt"})
    site.page("/", "<title>A</title>")
    with pytest.raises(FetchError) as caught:
        await pages.get("http://a.example/", respect_robots=True)
    assert caught.value.code == "robots_disallowed"
    with pytest.raises(FetchError):
        await pages.get("http://127.0.0.1/", respect_robots=True)
    assert dialled == [(PUBLIC, 80)]


def _is_refused(host: str) -> bool:
    return not is_public(ip_address(host))


async def test_urls_that_attackers_use_reach_no_inside_address(
    guarded: tuple[Pages, Dialled], names: NameServer, site: Site
) -> None:
    """The payload collection's URLs, with its stated answers of the name server."""
    pages, dialled = guarded
    reached = []
    for case in cases("ssrf_urls.jsonl"):
        names.names.clear()
        for name, addresses in (case.get("dns") or {}).items():
            names.names[name.lower()] = addresses
        dialled.clear()
        code = await _code(pages, case["url"])
        assert not [host for host, _ in dialled if _is_refused(host)], case["url"]
        if case["must_block"] and (code == "success" or dialled):
            reached.append(case["url"])
    assert reached == []


async def test_redirects_that_attackers_use_reach_no_inside_address(
    guarded: tuple[Pages, Dialled], names: NameServer, site: Site
) -> None:
    pages, dialled = guarded
    names.names["a.example"] = [PUBLIC]
    for case in cases("redirect_locations.jsonl"):
        location = case["location"].encode("utf-8", "surrogateescape").decode("latin-1")
        if any(character in location for character in "\r\n\0"):
            continue
        site.respond("/", 302, b"", {"Location": location})
        await _code(pages, "http://a.example/")
        assert not [host for host, _ in dialled if _is_refused(host)], case["location"]


def test_the_table_agrees_with_the_collected_votes() -> None:
    wrong = []
    for case in cases("ssrf_ips.jsonl"):
        try:
            public = is_public(ip_address(case["ip"]))
        except ValueError:
            public = False
        if case["strict"] and not case.get("advisory") and public:
            wrong.append((case["ip"], "must be refused"))
        if case["must_block"] is False and not case.get("either") and not public:
            wrong.append((case["ip"], "must pass"))
    assert wrong == []
