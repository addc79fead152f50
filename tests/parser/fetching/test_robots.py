"""robots.txt by RFC 9309."""

import asyncio

import pytest

from parser_service.config import Settings
from parser_service.dependencies import open_pipeline
from parser_service.exceptions import FetchError
from tests.support.pages import Pages
from tests.support.site import Site

RULES = b"""
User-agent: *
Disallow: /private

User-agent: PageParser
Disallow: /ours
Allow: /ours/but
"""


async def _code(pages: Pages, url: str) -> str:
    try:
        await pages.get(url, respect_robots=True)
    except FetchError as error:
        return error.code
    return "success"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/", "success"),
        ("/private", "success"),  # the group of our own name counts alone
        ("/ours", "robots_disallowed"),
        ("/ours/deep", "robots_disallowed"),
        ("/ours/but", "success"),
        ("/%6furs", "robots_disallowed"),
    ],
)
async def test_the_rules_for_our_name_are_obeyed(
    pages: Pages, site: Site, path: str, code: str
) -> None:
    site.respond("/robots.txt", 200, RULES, {"Content-Type": "text/plain"})
    url = site.page(path, "<title>A</title>")
    assert await _code(pages, url) == code


async def test_rules_are_asked_only_where_wanted(pages: Pages, site: Site) -> None:
    site.respond("/robots.txt", 200, RULES, {})
    url = site.page("/ours", "<title>A</title>")
    assert (await pages.get(url)).title == "A"
    assert site.count("/robots.txt") == 0


async def test_rules_are_asked_once_in_a_while(pages: Pages, site: Site) -> None:
    site.respond("/robots.txt", 200, RULES, {})
    urls = [site.page(f"/{n}", "<p>") for n in range(10)]
    assert set(await asyncio.gather(*(_code(pages, url) for url in urls))) == {"success"}
    assert site.count("/robots.txt") == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "success"),
        (401, "success"),
        (410, "success"),
        (500, "robots_disallowed"),
        (503, "robots_disallowed"),
    ],
)
async def test_no_rules_allow_everything_and_broken_sites_nothing(
    pages: Pages, site: Site, status: int, code: str
) -> None:
    site.respond("/robots.txt", status, b"", {})
    assert await _code(pages, site.page("/", "<p>")) == code


async def test_rules_that_cannot_be_had_are_a_passing_state(pages: Pages, site: Site) -> None:
    site.raw("/robots.txt", b"")
    with pytest.raises(FetchError) as caught:
        await pages.get(site.page("/", "<p>"), respect_robots=True)
    assert (caught.value.code, caught.value.retryable) == ("robots_disallowed", True)


async def test_rules_behind_redirects_are_followed(pages: Pages, site: Site) -> None:
    site.respond("/robots.txt", 301, b"", {"Location": "/elsewhere"})
    site.respond("/elsewhere", 200, RULES, {})
    assert await _code(pages, site.page("/ours", "<p>")) == "robots_disallowed"


async def test_each_redirects_target_is_asked_about(pages: Pages, site: Site) -> None:
    site.respond("/robots.txt", 200, RULES, {})
    site.page("/ours", "<p>")
    url = site.respond("/", 302, b"", {"Location": "/ours"})
    assert await _code(pages, url) == "robots_disallowed"
    assert site.count("/ours") == 0


async def test_huge_rules_are_read_in_part(pages: Pages, site: Site) -> None:
    site.respond("/robots.txt", 200, RULES + b"# x\n" * 500_000, {})
    assert await _code(pages, site.page("/ours", "<p>")) == "robots_disallowed"


@pytest.mark.parametrize("rules", [b"\xff\xfe\0", b"", b"Disallow", b"\xef\xbb\xbf" + RULES])
async def test_strange_rules_do_no_harm(pages: Pages, site: Site, rules: bytes) -> None:
    site.respond("/robots.txt", 200, rules, {})
    assert await _code(pages, site.page("/", "<p>")) == "success"


async def test_the_robot_is_named_by_the_user_agent(site: Site, settings: Settings) -> None:
    site.respond("/robots.txt", 200, b"User-agent: MyBot\nDisallow: /\n", {})
    url = site.page("/", "<p>")
    changed = settings.model_copy(update={"fetch_user_agent": "MyBot/2.0 (+https://e.example)"})
    async with open_pipeline(changed) as handler:
        assert await _code(Pages(handler), url) == "robots_disallowed"
    async with open_pipeline(settings) as handler:
        assert await _code(Pages(handler), url) == "success"
    assert "user-agent: mybot/2.0 (+https://e.example)\r\n" in site.requests[0].lower()
