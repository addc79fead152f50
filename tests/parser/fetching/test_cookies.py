"""Cookies go from a redirect to what it leads to, and nowhere else."""

import asyncio
from collections.abc import Callable

import pytest

from parser_service.exceptions import FetchError
from parser_service.fetching.cookies import (
    MAX_COOKIE_LENGTH,
    MAX_COOKIES_LENGTH,
    MAX_COOKIES_PER_HOP,
    bounded,
    cookie_header,
)
from parser_service.fetching.hop import Hop
from parser_service.fetching.url_guard import VettedUrl, parse_url
from tests.support.pages import Pages
from tests.support.site import Site


def test_an_address_is_no_domain_of_others() -> None:
    for domain in ("0.0.5", "0.5"):
        cookie = f"a=1; Domain={domain}"
        assert _sent(cookie, by="http://127.0.0.5/", to="http://127.0.0.5/") is None
    own = "a=1; Domain=127.0.0.5"
    assert _sent(own, by="http://127.0.0.5/", to="http://127.0.0.5/") == "a=1"


def _sent(set_cookie: str, *, to: str, by: str = "https://a.b.example/page") -> str | None:
    return cookie_header([Hop(by, 302, (set_cookie,))], VettedUrl(parse_url(to)))


@pytest.mark.parametrize(
    ("set_cookie", "to", "sent"),
    [
        ("a=1", "https://a.b.example/", "a=1"),
        ("a=1", "https://a.b.example:444/", "a=1"),
        ("a=1", "https://b.example/", None),
        ("a=1", "https://x.a.b.example/", None),
        ("a=1", "https://other.example/", None),
        ("a=1; Domain=b.example", "https://x.b.example/", "a=1"),
        ("a=1; Domain=.b.example", "https://b.example/", "a=1"),
        ("a=1; domain=other.example", "https://other.example/", None),
        ("a=1; Domain=example", "https://other.example/", None),
        ("a=1; Path=/dir", "https://a.b.example/dir/other", "a=1"),
        ("a=1; Path=/dir", "https://a.b.example/directory", None),
        ("a=1; Path=/other", "https://a.b.example/dir/page", None),
        ("a=1; Secure", "https://a.b.example/", "a=1"),
        ("a=1; Secure", "http://a.b.example/", None),
        ("a=1; Max-Age=0", "https://a.b.example/", None),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "https://a.b.example/", None),
        ("a=1; Expires=Thursday, 01-Jan-70 00:00:01 GMT", "https://a.b.example/", None),
        ("a=1; Expires=Thu, 01 Jan 99999 00:00:00 GMT", "https://a.b.example/", "a=1"),
        ("a=1; Expires=soon; Max-Age=soon", "https://a.b.example/", "a=1"),
        ("a=1; Max-Age=-5", "https://a.b.example/", None),
        ("a=1; Expires=Thu, 01 Jan 2099 00:00:00 GMT; HttpOnly", "https://a.b.example/", "a=1"),
        ("__Host-a=1; Secure; Path=/", "https://a.b.example/", "__Host-a=1"),
        ("__Host-a=1; Path=/", "https://a.b.example/", None),
        ("__Host-a=1; Secure; Path=/; Domain=b.example", "https://a.b.example/", None),
        ("__Secure-a=1", "https://a.b.example/", None),
        ('a="1 2"; Path=/', "https://a.b.example/", 'a="1 2"'),
        ("a=1 2, 3", "https://a.b.example/", "a=1 2, 3"),
        ("a={%22b%22:1}", "https://a.b.example/", "a={%22b%22:1}"),
        ('a={"b":1}', "https://a.b.example/", 'a={"b":1}'),
        ("a=b=c", "https://a.b.example/", "a=b=c"),
        ("", "https://a.b.example/", None),
        (";;;", "https://a.b.example/", None),
    ],
)
async def test_a_cookie_goes_where_its_rules_let_it(
    set_cookie: str, to: str, sent: str | None
) -> None:
    assert _sent(set_cookie, to=to) == sent


@pytest.mark.parametrize("suffix", ["co.uk", "github.io", "com"])
async def test_no_site_sets_cookies_for_a_public_suffix(suffix: str) -> None:
    set_cookie = f"a=1; Domain={suffix}"
    assert _sent(set_cookie, by=f"https://one.{suffix}/", to=f"https://other.{suffix}/") is None
    assert _sent(set_cookie, by=f"https://{suffix}/", to=f"https://other.{suffix}/") is None
    assert _sent(set_cookie, by=f"https://{suffix}/", to=f"https://{suffix}/") == "a=1"


async def test_a_later_cookie_replaces_an_earlier_one() -> None:
    hops = [
        Hop("http://a.example/", 302, ("a=1", "b=2")),
        Hop("http://a.example/x", 302, ("a=3; Path=/", "b=; Max-Age=0; Path=/")),
    ]
    assert cookie_header(hops, VettedUrl(parse_url("http://a.example/"))) == "a=3"


async def test_http_cannot_set_a_secure_cookie() -> None:
    assert _sent("a=1; Secure", by="http://a.example/", to="https://a.example/") is None


def test_what_is_kept_is_bounded() -> None:
    assert len(bounded(["a=1"] * 1000)) == MAX_COOKIES_PER_HOP
    assert bounded(["a=" + "x" * MAX_COOKIE_LENGTH, "b=1"]) == ("b=1",)
    kept = bounded([f"a{n}=" + "x" * 4000 for n in range(20)])
    assert sum(map(len, kept)) <= MAX_COOKIES_LENGTH
    assert bounded(["a=\u00e9", "b=\x00", "c=1"]) == ("c=1",)


def _cookie_wall(site: Site) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "\r\ncookie: seen=yes\r\n" in site.requests[-1].lower():
            writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/html\r\n\r\n<title>in</title>")
        else:
            writer.write(b"HTTP/1.1 302 X\r\nLocation: /\r\nSet-Cookie: seen=yes; Path=/\r\n\r\n")

    return answer


async def test_a_cookie_wall_opens_for_each_page_anew(pages: Pages, site: Site) -> None:
    url = site.answer("/", _cookie_wall(site))  # type: ignore[arg-type]
    for _ in range(2):
        page = await pages.get(url)
        assert (page.title, [hop.status for hop in page.redirects]) == ("in", [302])
    assert len(site.requests) == 4, "no page has the cookie of the one before"


async def test_a_cookie_does_not_follow_to_another_host(pages: Pages, site: Site) -> None:
    target = site.page("/end", "<title>end</title>").replace("127.0.0.1", "127.0.0.2")
    url = site.respond("/", 302, b"", {"Location": target, "Set-Cookie": "a=1; Path=/"})
    try:
        await pages.get(url)
    except FetchError as error:
        pytest.fail(error.code)
    assert "cookie" not in site.requests[-1].lower()
