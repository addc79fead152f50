"""Rules of sites are fetched once, cached for as long as they deserve, and obeyed."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from parser_service.exceptions import ConnectError, FetchError, RobotsDisallowedError
from parser_service.fetching import robots
from parser_service.fetching.robots import (
    RULES_LIFETIME_SECONDS,
    UNREACHABLE_LIFETIME_SECONDS,
    RobotsRulesCache,
)
from parser_service.fetching.robots_text import reduce_to_groups_of
from parser_service.fetching.url_guard import UrlGuard, VettedUrl


@dataclass
class Site:
    """A source that answers as a test tells it to."""

    status: int = 200
    body: bytes = b"User-agent: *\nDisallow: /private\n"
    error: FetchError | None = None
    answering: asyncio.Event | None = None
    fetched: list[str] = field(default_factory=list)

    async def fetch(self, url: str) -> tuple[int, bytes]:
        self.fetched.append(url)
        if self.answering is not None:
            await self.answering.wait()
        if self.error is not None:
            raise self.error
        return self.status, self.body


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def _url(text: str) -> VettedUrl:
    return UrlGuard(allowed_ports=[80, 443, 8080]).vet(text)


def _rules(
    site: Site, clock: Clock | None = None, user_agent: str = "MyBot/1.0"
) -> RobotsRulesCache:
    return RobotsRulesCache(site, user_agent=user_agent, clock=clock or Clock())


async def _is_allowed(rules: RobotsRulesCache, url: str) -> bool:
    try:
        await rules.require_allowed(_url(url))
    except RobotsDisallowedError:
        return False
    return True


async def test_each_origin_has_rules_of_its_own() -> None:
    site = Site()
    rules = _rules(site)
    assert await _is_allowed(rules, "http://a.example/")
    assert not await _is_allowed(rules, "http://a.example/private")
    assert not await _is_allowed(rules, "https://a.example/private")
    assert not await _is_allowed(rules, "http://a.example:8080/private")
    assert site.fetched == [
        "http://a.example/robots.txt",
        "https://a.example/robots.txt",
        "http://a.example:8080/robots.txt",
    ]


@pytest.mark.parametrize("user_agent", ["MyBot/2.0 (+https://e.example)", "MyBot", "MyBot x"])
async def test_the_first_word_of_the_user_agent_names_the_robot(user_agent: str) -> None:
    site = Site(body=b"User-agent: mybot\nDisallow: /\n")
    assert not await _is_allowed(_rules(site, user_agent=user_agent), "http://a.example/")
    assert await _is_allowed(_rules(site, user_agent="Other"), "http://a.example/")


@pytest.mark.parametrize(
    ("status", "allowed", "seconds"),
    [
        (200, True, RULES_LIFETIME_SECONDS),
        (404, True, RULES_LIFETIME_SECONDS),
        (500, False, UNREACHABLE_LIFETIME_SECONDS),
    ],
)
async def test_rules_are_cached_for_a_time_that_depends_on_the_answer(
    status: int, allowed: bool, seconds: float
) -> None:
    site, clock = Site(status=status), Clock()
    rules = _rules(site, clock)
    for clock.now in (0.0, seconds - 1, seconds + 1):
        assert await _is_allowed(rules, "http://a.example/") is allowed
    assert len(site.fetched) == 2


async def test_a_site_without_an_answer_disallows_everything_for_now() -> None:
    site = Site(error=ConnectError())
    with pytest.raises(RobotsDisallowedError) as caught:
        await _rules(site).require_allowed(_url("http://a.example/"))
    assert caught.value.retryable
    with pytest.raises(RobotsDisallowedError) as caught:
        await _rules(Site()).require_allowed(_url("http://a.example/private"))
    assert not caught.value.retryable


async def test_a_site_that_hangs_counts_as_unreachable() -> None:
    site = Site(answering=asyncio.Event())
    rules = RobotsRulesCache(site, user_agent="MyBot/1.0", seconds=0.05)
    assert not await _is_allowed(rules, "http://a.example/")


async def test_one_fetch_serves_all_who_wait_even_if_the_first_gives_up() -> None:
    answering = asyncio.Event()
    site = Site(answering=answering)
    rules = _rules(site)
    first, *others = [
        asyncio.create_task(_is_allowed(rules, f"http://a.example/{n}")) for n in range(5)
    ]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    answering.set()
    assert await asyncio.gather(*others) == [True] * 4
    assert len(site.fetched) == 1


async def test_the_number_of_cached_sites_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots, "MAX_KEPT_SITES", 2)
    site = Site()
    rules = _rules(site)
    for name in ("a", "b", "a", "c", "a", "b"):
        await _is_allowed(rules, f"http://{name}.example/")
    hosts = [url.split("/")[2][0] for url in site.fetched]
    assert hosts == ["a", "b", "c", "b"], "the one that was used least recently goes first"


async def test_the_length_of_cached_rules_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots, "MAX_KEPT_LENGTH", 100)
    site = Site()
    rules = _rules(site)
    for name in ("a", "b", "c", "d", "d"):
        await _is_allowed(rules, f"http://{name}.example/")
    assert len(site.fetched) == 4
    await _is_allowed(rules, "http://a.example/")
    assert len(site.fetched) == 5, "the first had to go"


@pytest.mark.parametrize(("count", "in_threads"), [(10, 0), (2000, 3)])
async def test_long_rules_are_read_and_compared_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, count: int, in_threads: int
) -> None:
    threads = 0
    to_thread = asyncio.to_thread

    async def counted(*args: Any) -> Any:
        nonlocal threads
        threads += 1
        return await to_thread(*args)

    monkeypatch.setattr(asyncio, "to_thread", counted)
    lines = "".join(f"Disallow: /*a*{n}\n" for n in range(count))
    rules = _rules(Site(body=f"User-agent: *\n{lines}Disallow: /private\n".encode()))
    assert not await _is_allowed(rules, "http://a.example/private")
    assert await _is_allowed(rules, "http://a.example/b")
    assert threads == in_threads


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        ("\ufeffUser-agent: *\nDisallow: /private", False),
        ("User-agent: MyBot/1.0 (remark)\nDisallow: /private", False),
        ("User-agent: MyBotX\nDisallow: /private", True),
        ("User-agent: My\nDisallow: /private", True),
        ("User-agent: *\nDisallow: /private\n\nUser-agent: mybot\nDisallow: /other", True),
        ("User-agent: a\nUser-agent: mybot\n\nDisallow: /private", False),
        ("User-agent: a\nSitemap: x\nUser-agent: mybot\nDisallow: /private", False),
        ("User-agent: mybot\nUser-agent: a\nDisallow: /private\nAllow: /private", True),
        ("User-agent: mybot\nDisallow: /p\nUser-agent: b\nAllow: /private", False),
        ("Disallow: /private", True),
        ("user agent: mybot # ours\r\ndisallow: /private # not this", False),
        ("User-agent: mybot\nDisallow: /x\nUser-agent: mybot\nDisallow: /private", False),
        ("User-agent: mybot\nDisallow: /x\nSitemap: y\nDisallow: /private", False),
    ],
)
async def test_the_groups_of_a_robot_are_found(body: str, *, allowed: bool) -> None:
    rules = _rules(Site(body=body.encode()))
    assert await _is_allowed(rules, "http://a.example/private") is allowed


def test_many_robots_with_many_rules_cost_no_more_than_their_bytes() -> None:
    text = "".join(f"User-agent: r{n}\n" for n in range(1500))
    text += "User-agent: mybot\n" + "".join(f"Disallow: /{n}\n" for n in range(2900))
    reduced = reduce_to_groups_of("MyBot", text)
    assert reduced.splitlines()[0] == "User-agent: mybot"
    assert len(reduced.splitlines()) == 2901
