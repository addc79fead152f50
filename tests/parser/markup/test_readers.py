"""Both readers make the same document of the same page, whichever parser it needs."""

from selectolax.lexbor import LexborHTMLParser

from parser_service.markup.document import Document, Link
from parser_service.markup.json_ld import JsonLd
from parser_service.markup.lexbor import document_from_tree
from parser_service.markup.xhtml import parse_xhtml

URL = "https://example.com/a"
PAGE = """<html xmlns="http://www.w3.org/1999/xhtml" lang="de">
<head>
<title>A</title>
<base href="/b/" />
<base href="/c/" />
<meta name="Description" content="one" />
<meta name="description" content="two" />
<meta property="og:title dc:title" itemprop="name" content="three" />
<meta name="without" />
<link rel="Canonical  x" href=" d " type="TEXT/HTML" title=" t  t " />
<link rel="nothing" />
<script type="Application/LD+JSON">{"a": 1}</script>
<script>{"b": 2}</script>
</head>
<body><h1>H</h1></body>
</html>"""


def test_html_and_xhtml_are_read_alike() -> None:
    expected = Document(
        base_url="https://example.com/b/",
        url=URL,
        language="de",
        title="A",
        meta={
            "description": ["one", "two"],
            "og:title": ["three"],
            "dc:title": ["three"],
            "name": ["three"],
        },
        links=[Link(frozenset({"canonical", "x"}), "d", "text/html", "t t")],
        json_ld=JsonLd([{"a": 1}], length=8, url=URL),
    )
    html = document_from_tree(LexborHTMLParser(PAGE), url=URL)
    assert html == expected
    xhtml = parse_xhtml(PAGE, url=URL)
    assert (xhtml.heading, xhtml.base_url) == ("H", html.base_url)
    assert (xhtml.language, xhtml.title, xhtml.meta) == (html.language, html.title, html.meta)
    assert (xhtml.links, xhtml.json_ld) == (html.links, html.json_ld)


def test_a_base_that_is_not_http_leaves_the_pages_own_url() -> None:
    for base in ("ftp://example.com/", "data:,x", "http://[::1"):
        page = PAGE.replace("/b/", base)
        assert document_from_tree(LexborHTMLParser(page), url=URL).base_url == URL
        assert parse_xhtml(page, url=URL).base_url == URL


def test_a_title_for_browsers_without_scripts_comes_after_others() -> None:
    inside = "<body><noscript><title>Turn scripts on</title></noscript>"
    for html, title in ((inside + "<title>A</title>", "A"), (inside, "Turn scripts on")):
        assert document_from_tree(LexborHTMLParser(html), url=URL).title == title
