"""Facts about pages: tables, one for each fact, and a page that has them all."""

import json
import pkgutil
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser_service import extractors
from parser_service.extractors.all import EXTRACTORS
from parser_service.markup.content_type import Markup
from parser_service.markup.document import Document
from parser_service.page import Metadata
from parser_service.parser import ParsedPage, RawPage, parse

URL = "https://example.com/news/article?x=1"
GOLDEN = Path(__file__).with_name("golden")


def _facts(html: str, **options: Any) -> ParsedPage:
    return parse(RawPage(html.encode(), Markup.HTML, URL, "utf-8", **options))


def _fact(name: str, html: str) -> Any:
    return getattr(_facts(html).metadata, name)


def _json_ld(text: str) -> str:
    return f'<script type="application/ld+json">{text}</script>'


# Modules of the room that are not facts of the metadata.
SHARED = {
    *("all", "month_names", "person_names", "social_properties", "text_languages"),
    *("time_formats", "times", "title", "visible_dates"),
}


def test_every_member_of_the_metadata_has_an_extractor_of_its_name_and_type() -> None:
    """This is what mypy cannot see, because extractors are imported by name."""
    assert list(EXTRACTORS) == list(Metadata.model_fields)
    for fact, member in Metadata.model_fields.items():
        hints = get_type_hints(EXTRACTORS[fact])
        assert (EXTRACTORS[fact].__module__, EXTRACTORS[fact].__name__) == (
            f"{extractors.__name__}.{fact}",
            fact,
        )
        assert hints.pop("return") == member.annotation, fact
        assert hints == {"document": Document}, fact


def test_every_module_of_the_room_is_a_fact_or_shared_by_facts() -> None:
    modules = {module.name for module in pkgutil.iter_modules(extractors.__path__)}
    assert modules == EXTRACTORS.keys() | SHARED


@pytest.mark.parametrize(
    ("name", "html", "expected"),
    [
        ("description", "<meta name=description content=' a \n b '>", "a b"),
        ("description", "<meta name=Description content=''><meta property=og:description content=c>", "c"),
        ("description", _json_ld('{"description": "d"}'), "d"),
        ("description", "<meta name=description>", None),
        ("description", "<meta name=description content='" + "x" * 6000 + "'>", "x" * 5000),
        ("canonical_url", "<link rel=canonical href=/a>", "https://example.com/a"),
        ("canonical_url", "<base href=//b.example/c/><link rel='x Canonical' href=d>", "https://b.example/c/d"),
        ("canonical_url", "<meta property=og:url content=https://example.com/e>", "https://example.com/e"),
        ("canonical_url", "<link rel=canonical href='javascript:alert(1)'>", None),
        ("canonical_url", "<link rel=canonical href='http://[::1'>", None),
        ("canonical_url", "<link rel=canonical href='/" + "x" * 3000 + "'>", None),
        ("language", "<html lang=de-CH>", "de-CH"),
        ("language", "<html lang=' '><meta http-equiv=content-language content='fr, en'>", "fr"),
        ("language", "<meta property=og:locale content=en_US>", "en-US"),
        ("language", "<html lang='not a language tag'>", None),
        ("site_name", "<meta property=og:site_name content=Site>", "Site"),
        ("site_name", _json_ld('{"@graph": [{"@type": "WebSite", "name": "Graph"}]}'), "Graph"),
        ("site_name", _json_ld('{"publisher": {"name": "Pub"}}'), "Pub"),
        ("author", "<meta name=author content='A. Uthor'>", "A. Uthor"),
        ("author", "<meta property=article:author content=https://example.com/a>", None),
        ("author", _json_ld('{"author": [{"name": "First"}, {"name": "Second"}]}'), "First, Second"),
        ("author", _json_ld('{"author": "Plain"}'), "Plain"),
        ("author", "<meta property='dc:creator article:author' content=Both>", "Both"),
        ("published_time", "<meta property=article:published_time content=2026-01-02T03:04:05Z>", "2026-01-02T03:04:05+00:00"),
        ("published_time", "<meta itemprop=datePublished content=2026-01-02>", "2026-01-02"),
        ("published_time", "<meta name=date content='Fri, 02 Jan 2026 03:04:05 GMT'>", "2026-01-02T03:04:05+00:00"),
        ("published_time", _json_ld('{"datePublished": "2026-01-02T03:04+02:00"}'), "2026-01-02T03:04:00+02:00"),
        ("published_time", "<meta name=date content='last Tuesday'>", None),
        ("published_time", "<meta name=date content=99999-99-99>", None),
        ("modified_time", "<meta property=article:modified_time content=2026-02-03>", "2026-02-03"),
        ("image", "<meta property=og:image content=/i.png>", "https://example.com/i.png"),
        ("image", "<meta name=twitter:image content=t.png>", "https://example.com/news/t.png"),
        ("image", _json_ld('{"image": {"url": "/j.png"}}'), "https://example.com/j.png"),
        ("image", "<meta property=og:image content='data:image/png;base64,x'>", None),
        ("video", "<meta property=og:video content=/v.mp4>", "https://example.com/v.mp4"),
        ("video", "<meta property=og:video content=/v><meta property=og:video:secure_url content=//s.example/v>", "https://s.example/v"),
        ("video", "<meta name=twitter:player content=https://p.example/1><meta name=twitter:player:stream content=s.mp4>", "https://example.com/news/s.mp4"),
        ("video", "<meta property=og:video content='data:video/mp4;base64,x'><meta name=twitter:player content=p>", "https://example.com/news/p"),
        ("video", _json_ld('{"video": {"embedUrl": "/e", "contentUrl": "/c"}}'), "https://example.com/c"),
        ("video", _json_ld('{"@graph": [{"@type": "Article"}, {"@type": "VideoObject", "embedUrl": "/e"}]}'), "https://example.com/e"),
        ("video", _json_ld('{"@type": "ImageObject", "contentUrl": "/i"}'), None),
        ("video", "<video src=/inline.mp4></video>", None),
        ("favicon", "<link rel='shortcut icon' href=/f.ico>", "https://example.com/f.ico"),
        ("favicon", "<link rel=apple-touch-icon href=/a.png>", "https://example.com/a.png"),
        ("favicon", "<p>", None),
        ("keywords", "<meta name=keywords content='a, b ,a,,c\u3001d'>", ["a", "b", "c", "d"]),
        ("keywords", _json_ld('{"keywords": ["x", 1, "y"]}'), ["x", "y"]),
        ("keywords", "<p>", []),
        (
            "open_graph",
            "<meta property=og:image content=1><meta property=OG:Image content=2><meta property=og:type content=article>",
            {"image": ["1", "2"], "type": ["article"]},
        ),
        ("twitter_card", "<meta name=twitter:card content=summary><meta name=twitter:card content=x>", {"card": "summary"}),
        ("json_ld", _json_ld('[{"a": 1}, {"b": [true, null]}, 3]'), [{"a": 1}, {"b": [True, None]}]),
        ("json_ld", _json_ld("{broken"), []),
        ("json_ld", '<script type=" Application/LD+JSON; charset=utf-8">{"a": 1}</script>', [{"a": 1}]),
        ("json_ld", '<script type="text/ld+json-like">{"a": 1}</script>', []),
        ("site_name", _json_ld('{"@type": ["WebSite"], "name": ["Q&amp;A"]}'), "Q&A"),
        ("site_name", _json_ld('[{"@type": "Organization", "name": "Other"}, {"@type": "Article", "publisher": {"@id": "#p"}}, {"@id": "#p", "name": "Pub"}]'), "Pub"),
        ("description", _json_ld('[{"@type": "Organization", "description": "wrong"}, {"@type": "Article", "description": "right &#8212; plain"}]'), "right \u2014 plain"),
        ("json_ld", _json_ld('{"a": "x\ny"}'), [{"a": "x\ny"}]),
        ("json_ld", _json_ld('<!-- {"a": NaN, "b": 1e999, "c": "\\u0000\\ud800"} -->'), [{"a": None, "b": "inf", "c": "\ufffd\ufffd"}]),
        ("json_ld", _json_ld('{"a": ' * 100 + "1" + "}" * 100), None),
        ("json_ld", _json_ld("[" * 50_000), []),
        ("json_ld", _json_ld('{"a": ' + "9" * 5000 + "}"), []),
        (
            "feeds",
            "<link rel=alternate type=application/rss+xml href=/f title=News><link rel=alternate hreflang=de href=/de>",
            [{"url": "https://example.com/f", "type": "application/rss+xml", "title": "News"}],
        ),
        ("robots", "<meta name=robots content='NoIndex, nofollow'><meta name=robots content=noindex>", ["noindex", "nofollow"]),
    ],
)  # fmt: skip
def test_a_fact_is_found(name: str, html: str, expected: Any) -> None:
    found = _facts(html).metadata.model_dump()[name]
    if expected is None and name == "json_ld":
        assert len(json.dumps(found)) < 300, "what is too deep is cut off"
    else:
        assert found == expected


def test_directives_of_the_header_count_too() -> None:
    facts = _facts("<meta name=robots content=noindex>", robots_headers=["noarchive, NOINDEX"])
    assert facts.metadata.robots == ["noindex", "noarchive"]


@pytest.mark.parametrize(
    ("html", "without", "with_fallback"),
    [
        ("<title>A</title><h1>B</h1>", ("A", "title"), ("A", "title")),
        ("<h1> B <b>c</b></h1>", ("", None), ("B c", "h1")),
        ("<meta property=og:title content=O><h1>B</h1>", ("", None), ("O", "og:title")),
        ("<title> </title><meta property=og:title content=O>", ("", "title"), ("O", "og:title")),
        ("<p>", ("", None), ("", None)),
    ],
)
def test_something_else_stands_in_for_a_title_only_where_asked_for(
    html: str, without: tuple[str, str], with_fallback: tuple[str, str]
) -> None:
    plain, fallback = _facts(html), _facts(html, title_fallback=True)
    assert (plain.title, plain.title_source) == without
    assert (fallback.title, fallback.title_source) == with_fallback


def test_facts_are_bounded_in_size() -> None:
    html = "".join(
        f"<meta property=og:p{n} content={'x' * 5000}><meta name=twitter:p{n} content=y>"
        f"<link rel=alternate type=application/atom+xml href=/{n}>"
        f"<meta name=keywords content='k{n}'>" + _json_ld(json.dumps({"a": "z" * 5000}))
        for n in range(300)
    )
    facts = _facts(html)
    assert len(facts.metadata.model_dump_json()) < 600_000
    assert len(facts.metadata.feeds) == 20
    assert len(facts.metadata.keywords) == 50
    assert 1 < len(facts.metadata.json_ld) < 15


@pytest.mark.parametrize("page", sorted(GOLDEN.glob("*.*html")), ids=lambda page: page.name)
def test_golden_pages(page: Path) -> None:
    markup = Markup.XHTML if page.suffix == ".xhtml" else Markup.HTML
    facts = parse(RawPage(page.read_bytes(), markup, URL))
    found = {"title": facts.title, "charset": facts.charset} | facts.metadata.model_dump()
    assert found == json.loads(page.with_suffix(".json").read_text())


PIECES = (
    *("<meta ", "<link ", "<html ", "<base ", "<script type=application/ld+json>", "</script>"),
    *("name=", "property=", "content=", "href=", "rel=", "lang=", '"', "'", ">", "<", " "),
    *("og:image", "description", "keywords", "canonical", "icon", "robots", "author", "date"),
    *("{", "}", "[", "]", ":", ",", '"a"', "1e999", "null", "\\ud800", "\0", "//", "http:"),
)
MARKUP = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=80).map("".join)


@given(MARKUP)
def test_wrong_markup_is_never_an_error(html: str) -> None:
    for markup in Markup:
        facts = parse(RawPage(html.encode("utf-8", "replace"), markup, URL))
        text = facts.metadata.model_dump_json()
        assert "\\u0000" not in text
