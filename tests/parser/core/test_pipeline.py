"""From URL to page, against a site that misbehaves."""

import asyncio
import gzip

import pytest
from structlog.testing import capture_logs

from parser_service.config import MIB, Settings
from parser_service.dependencies import open_pipeline
from parser_service.exceptions import FetchError
from parser_service.extractors import all as all_extractors
from parser_service.markup.document import Document
from tests.support.pages import Pages
from tests.support.site import Site


async def _code(pages: Pages, url: str) -> str:
    with pytest.raises(FetchError) as caught:
        await pages.get(url)
    assert caught.value.message
    assert "127.0.0.1" not in caught.value.message
    return caught.value.code


async def test_a_page_is_fetched_and_parsed(pages: Pages, site: Site) -> None:
    url = site.page("/a", "<title>caf\u00e9</title>")
    page = await pages.get(url)
    assert page.title == "caf\u00e9"
    assert page.html == "<title>caf\u00e9</title>"
    assert (page.final_url, page.http_status) == (url, 200)
    assert page.content_type == "text/html; charset=utf-8"
    assert page.charset == "utf-8"


async def test_the_url_is_asked_for_to_the_letter(pages: Pages, site: Site) -> None:
    path = "/a%2Fb/|^{}/%41?x=%2f&y='\"%20|"
    site.page("/a%2Fb/|%5E%7B%7D/%41?x=%2f&y=%27%22%20|", "<title>A</title>")
    assert (await pages.get(site.url(path))).title == "A"
    assert f"host: 127.0.0.1:{site.port}\r\n" in site.requests[0].lower()


async def test_gzip_is_undone(pages: Pages, site: Site) -> None:
    body = gzip.compress(b"<title>small</title>" * 10)
    url = site.page("/", body, Content_Encoding="gzip")
    assert (await pages.get(url)).title == "small"


async def test_redirects_are_followed_by_hand(pages: Pages, site: Site) -> None:
    end = site.page("/end", "<title>end</title>")
    site.respond("/relative", 307, b"", {"Location": "/end"})
    url = site.respond("/", 302, b"ignored", {"Location": site.url("/relative")})
    page = await pages.get(url)
    assert (page.title, page.final_url) == ("end", end)


@pytest.mark.parametrize(
    ("location", "path"),
    [
        (b"/caf\xe9", "/caf%E9"),
        (b"/caf\xc3\xa9", "/caf%C3%A9"),
        (b"/a?\xe9", "/a?%E9"),
        (b"/a?", "/a?"),
        (b"/a?#b", "/a?"),
        (b"?", "/?"),
    ],
)
async def test_a_redirect_leads_where_browsers_go(
    pages: Pages, site: Site, location: bytes, path: str
) -> None:
    site.page(path, "<title>end</title>")
    url = site.raw("/", b"HTTP/1.1 302 X\r\nLocation: " + location + b"\r\n\r\n")
    page = await pages.get(url)
    assert (page.title, page.final_url) == ("end", site.url(path))


async def test_a_gzip_stream_ends_where_it_ends(pages: Pages, site: Site) -> None:
    sent = 0
    body = gzip.compress(b"<title>small</title>")

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        head = b"HTTP/1.1 200 X\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n"
        writer.write(head + body)
        while sent < 50 * MIB:
            writer.write(bytes(MIB))
            sent += MIB
            await writer.drain()

    assert (await pages.get(site.answer("/", answer))).title == "small"
    assert sent < 20 * MIB, "the connection was cut"


async def test_a_redirect_loop_ends(pages: Pages, site: Site) -> None:
    url = site.respond("/", 302, b"", {"Location": "/"})
    assert await _code(pages, url) == "too_many_redirects"
    assert site.count("/") == 6


async def test_a_redirect_to_a_refused_address_is_not_followed(pages: Pages, site: Site) -> None:
    url = site.respond("/", 302, b"", {"Location": "http://169.254.169.254/"})
    assert await _code(pages, url) == "blocked_address"
    url = site.respond("/", 302, b"", {"Location": "file:///etc/passwd"})
    assert await _code(pages, url) == "invalid_url"
    url = site.respond("/", 302, b"", {})
    assert await _code(pages, url) == "malformed_response"


@pytest.mark.parametrize("status", [204, 205, 304, 400, 404, 410, 429, 500, 503])
async def test_another_status_than_success_is_a_failure(
    pages: Pages, site: Site, status: int
) -> None:
    url = site.respond("/", status, b"", {"Content-Type": "text/html"})
    with pytest.raises(FetchError) as caught:
        await pages.get(url)
    assert caught.value.code == "http_status"
    assert caught.value.page_status == status
    assert caught.value.retryable == (status in (429, 500, 503))


@pytest.mark.parametrize("kind", ["text/plain", "application/pdf", "image/png", "application/json"])
async def test_only_html_is_parsed(pages: Pages, site: Site, kind: str) -> None:
    url = site.respond("/", 200, b"<title>A</title>", {"Content-Type": kind})
    assert await _code(pages, url) == "unsupported_content_type"


async def test_without_a_content_type_the_body_decides(pages: Pages, site: Site) -> None:
    url = site.respond("/html", 200, b"<!doctype html><title>A</title>", {})
    assert (await pages.get(url)).title == "A"
    url = site.respond("/pdf", 200, b"%PDF-1.7", {})
    assert await _code(pages, url) == "unsupported_content_type"


async def test_a_page_over_the_limit_is_refused(site: Site, settings: Settings) -> None:
    small = settings.model_copy(update={"fetch_max_body": 10_000})
    url = site.page("/", "<title>A</title>" + "x" * 10_000)
    streamed = site.raw(
        "/streamed", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + b"x" * 10_001
    )
    async with open_pipeline(small) as handler:
        pages = Pages(handler)
        assert await _code(pages, url) == "too_large"
        assert await _code(pages, streamed) == "too_large"


async def test_a_site_that_drips_meets_the_deadline(site: Site, settings: Settings) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    url = site.answer("/", drip)
    async with open_pipeline(settings.model_copy(update={"fetch_timeout": 0.5})) as handler:
        pages = Pages(handler)
        assert await _code(pages, url) == "timeout"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (b"", "connect_error"),
        (b"nonsense\r\n\r\n", "malformed_response"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            "malformed_response",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\nshort",
            "malformed_response",
        ),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000 + b"\r\n\r\n", "too_large"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: br\r\n\r\nx",
            "bad_encoding",
        ),
    ],
)
async def test_a_broken_response_has_a_code_of_its_own(
    pages: Pages, site: Site, response: bytes, code: str
) -> None:
    assert await _code(pages, site.raw("/", response)) == code
    assert (await pages.get(site.page("/good", "<title>good</title>"))).title == "good"


async def test_a_port_where_nobody_listens_is_a_connect_error(
    pages: Pages, settings: Settings, unused_tcp_port: int
) -> None:
    ports = settings.fetch_allowed_ports | {unused_tcp_port}
    changed = settings.model_copy(update={"fetch_allowed_ports": ports})
    async with open_pipeline(changed) as handler:
        assert (
            await _code(Pages(handler), f"http://127.0.0.1:{unused_tcp_port}/") == "connect_error"
        )


async def test_cookies_do_not_reach_the_next_job(pages: Pages, site: Site) -> None:
    await pages.get(site.page("/set", "<p>", Set_Cookie="a=1; Path=/"))
    await pages.get(site.page("/next", "<p>"))
    assert "cookie" not in site.requests[-1].lower()


async def test_a_proxy_from_the_environment_is_ignored(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, site: Site, unused_tcp_port: int
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_tcp_port}")
    async with open_pipeline(settings) as handler:
        pages = Pages(handler)
        assert (await pages.get(site.page("/", "<title>A</title>"))).title == "A"


REFRESH = '<meta http-equiv="Refresh" content="{}"><title>first</title>'


async def test_a_page_that_asks_for_another_is_followed(pages: Pages, site: Site) -> None:
    site.page("/end", "<title>end</title>")
    site.page("/meta", REFRESH.format("0; url=end"))
    url = site.page("/header", "<title>first</title>", Refresh="1;url=/meta")
    page = await pages.get(url)
    assert page.title == "end"
    assert [(hop.url, hop.status) for hop in page.redirects] == [
        (url, 200),
        (site.url("/meta"), 200),
    ]


@pytest.mark.parametrize(
    "html",
    [
        REFRESH.format("5; url=/end"),
        REFRESH.format("0; url=/"),
        REFRESH.format("0"),
        "<title>first</title><noscript>" + REFRESH.format("0; url=/end") + "</noscript>",
        "<title>first</title><body><noscript><div>" + REFRESH.format("0; url=/end"),
        "<title>first</title><meta name=refresh content='0; url=/end'>",
        "<title>first</title><!-- " + REFRESH.format("0; url=/end") + " -->",
    ],
)
async def test_a_page_that_is_meant_to_be_read_is_the_result(
    pages: Pages, site: Site, html: str
) -> None:
    site.page("/end", "<title>end</title>")
    page = await pages.get(site.page("/", html))
    assert (page.title, page.redirects) == ("first", [])


@pytest.mark.parametrize(
    ("status", "kind"), [(200, "application/zip"), (204, "text/html"), (404, "text/html")]
)
async def test_a_page_that_asks_for_what_is_no_page_is_the_result(
    pages: Pages, site: Site, status: int, kind: str
) -> None:
    site.respond("/file", status, b"", {"Content-Type": kind})
    url = site.page("/", "<title>first</title>" + REFRESH.format("1; url=/file"))
    page = await pages.get(url)
    assert (page.title, page.final_url, page.redirects) == ("first", url, [])


async def test_a_page_that_asks_for_one_that_fails_for_now_is_tried_again(
    pages: Pages, site: Site
) -> None:
    site.respond("/end", 503, b"", {"Content-Type": "text/html"})
    url = site.page("/", "<title>first</title>" + REFRESH.format("0; url=/end"))
    assert await _code(pages, url) == "http_status"


async def test_a_fact_that_could_not_be_read_is_logged(
    pages: Pages, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Document) -> object:
        raise KeyError("oh")

    monkeypatch.setattr(all_extractors, "EXTRACTORS", {**all_extractors.EXTRACTORS, "author": fail})
    with capture_logs() as lines:
        page = await pages.get(site.page("/", "<title>A</title>"))
    assert (page.title, page.metadata.author) == ("A", None)
    assert [line["log_level"] for line in lines if line["event"] == "fact not found"] == ["error"]


async def test_pages_that_ask_for_each_other_end_with_one_of_them(pages: Pages, site: Site) -> None:
    url = site.page("/a", REFRESH.format("0; url=/b"))
    site.page("/b", REFRESH.format("0; url=/a"))
    page = await pages.get(url)
    assert [hop.url for hop in page.redirects] == [url]
    for n in range(9):
        site.page(f"/{n}", REFRESH.format(f"0; url=/{n + 1}"))
    page = await pages.get(site.url("/0"))
    assert (page.final_url, len(page.redirects)) == (site.url("/5"), 5)


async def test_a_refresh_to_a_refused_address_is_a_failure(pages: Pages, site: Site) -> None:
    url = site.page("/", REFRESH.format("0; url=http://169.254.169.254/"))
    assert await _code(pages, url) == "blocked_address"


async def test_cookies_go_along_with_a_refresh(pages: Pages, site: Site) -> None:
    site.page("/end", "<title>end</title>")
    url = site.page("/", REFRESH.format("0; url=/end"), Set_Cookie="a=1; Path=/")
    assert (await pages.get(url)).title == "end"
    assert "\r\ncookie: a=1\r\n" in site.requests[-1].lower()


async def test_refreshes_can_be_left_alone(settings: Settings, site: Site) -> None:
    site.page("/end", "<title>end</title>")
    url = site.page("/", REFRESH.format("0; url=/end"))
    async with open_pipeline(settings.model_copy(update={"follow_refresh": False})) as opened:
        assert (await Pages(opened).get(url)).title == "first"


XHTML = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>A</title></head></html>'


@pytest.mark.parametrize("content_type", ["application/xml", "text/xml; charset=utf-8"])
@pytest.mark.parametrize(
    ("xml", "title"),
    [
        (XHTML, "A"),
        ('<?xml version="1.0"?>\n<!-- a --><!DOCTYPE html>\n' + XHTML, "A"),
        ("\ufeff" + XHTML, "A"),
        ("<rss><title>A</title></rss>", None),
        ("<html><title>A</title></html>", None),
        ("", None),
    ],
)
async def test_xml_is_a_page_if_its_root_is_that_of_xhtml(
    pages: Pages, site: Site, content_type: str, xml: str, title: str | None
) -> None:
    url = site.respond("/", 200, xml.encode(), {"Content-Type": content_type})
    if title is None:
        assert await _code(pages, url) == "unsupported_content_type"
    else:
        assert (await pages.get(url)).title == title
