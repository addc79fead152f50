"""Names resolve to vetted addresses, or to an error that says whether to try again."""

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from parser_service.exceptions import DnsError
from parser_service.fetching.resolver import GuardedResolver
from parser_service.fetching.url_guard import UrlGuard
from tests.support.dns import AAAA, NXDOMAIN, SERVFAIL, A, NameServer, open_name_server
from tests.support.waiting import until

PUBLIC, PUBLIC_6 = "203.0.114.7", "2606:4700::1111"


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    async with open_name_server() as server:
        yield server


@pytest.fixture
async def resolver(names: NameServer) -> AsyncIterator[GuardedResolver]:
    opened = GuardedResolver(UrlGuard(), timeout=1, nameservers=(names.address,))
    yield opened
    await opened.close()


async def test_a_name_resolves_to_all_its_addresses(
    resolver: GuardedResolver, names: NameServer
) -> None:
    names.names["a.example"] = [PUBLIC, PUBLIC_6]
    found = await resolver.resolve("a.example", 443)
    assert {(node["host"], node["family"]) for node in found} == {
        (PUBLIC, socket.AF_INET),
        (PUBLIC_6, socket.AF_INET6),
    }
    assert {(node["hostname"], node["port"]) for node in found} == {("a.example", 443)}
    assert {kind for _, kind in names.asked} == {A, AAAA}


@pytest.mark.parametrize("refused", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fc00::1"])
async def test_one_refused_address_refuses_the_name(
    resolver: GuardedResolver, names: NameServer, refused: str
) -> None:
    names.names["bad.example"] = [PUBLIC, refused]
    with pytest.raises(DnsError) as caught:
        await resolver.resolve("bad.example", 80)
    assert not caught.value.retryable


async def test_addresses_that_the_operator_allows_pass(names: NameServer) -> None:
    names.names["inside.example"] = ["10.1.2.3"]
    guard = UrlGuard(allowed_networks=[ip_network("10.1.0.0/16")])
    resolver = GuardedResolver(guard, timeout=1, nameservers=(names.address,))
    (found,) = await resolver.resolve("inside.example", 80, socket.AF_INET)
    assert found["host"] == "10.1.2.3"
    await resolver.close()


@pytest.mark.parametrize(
    ("answer", "retryable"), [(NXDOMAIN, False), ([], False), (SERVFAIL, True)]
)
async def test_an_error_says_whether_another_try_may_help(
    resolver: GuardedResolver, names: NameServer, answer: list[str] | int, retryable: bool
) -> None:
    names.names["none.example"] = answer
    with pytest.raises(DnsError) as caught:
        await resolver.resolve("none.example", 80)
    assert caught.value.retryable is retryable


async def test_a_hanging_name_is_given_up_in_time_and_delays_no_other(
    resolver: GuardedResolver, names: NameServer
) -> None:
    names.names |= {"hanging.example": None, "good.example": [PUBLIC]}
    hanging = asyncio.create_task(resolver.resolve("hanging.example", 80))
    assert await asyncio.wait_for(resolver.resolve("good.example", 80), timeout=0.9)
    with pytest.raises(DnsError) as caught:
        await hanging
    assert caught.value.retryable


async def test_a_lookup_over_the_limit_waits_for_another_to_end(names: NameServer) -> None:
    names.names |= {"hanging.example": None, "good.example": [PUBLIC]}
    resolver = GuardedResolver(UrlGuard(), timeout=5, concurrency=1, nameservers=(names.address,))
    hanging = asyncio.create_task(resolver.resolve("hanging.example", 80))
    await until(lambda: "hanging.example" in {name for name, _ in names.asked})
    waiting = asyncio.create_task(resolver.resolve("good.example", 80))
    await asyncio.sleep(0.1)
    assert "good.example" not in {name for name, _ in names.asked}
    hanging.cancel()
    assert {node["host"] for node in await waiting} == {PUBLIC}
    await resolver.close()
