"""Authors: all of them, in order, by name, and nothing that is not a name."""

import pytest

from tests.parser.extractors.facts import fact, json_ld

AB = ["Ada Bell", "Cy Dee"]


@pytest.mark.parametrize(
    ("html", "names"),
    [
        (json_ld('{"@type": "Article", "author": [{"name": "Ada Bell"}, {"name": "Cy Dee"}]}'), AB),
        (json_ld('{"@type": "Article", "author": ["Ada Bell", "Cy Dee", "ADA BELL"]}'), AB),
        (json_ld('{"@type": "Article", "author": "By Ada Bell and Cy Dee"}'), AB),
        (json_ld('{"@type": "Article", "author": {"name": ["Ada Bell", "Cy Dee"]}}'), AB[:1]),
        (json_ld('{"@type": "Article", "author": {"name": {"@value": "Ada Bell"}}}'), AB[:1]),
        (json_ld('{"@type": "Article", "author": {"givenName": "Ada", "familyName": "Bell"}}'), AB[:1]),
        (json_ld('{"@type": "Article", "author": "Ada O&#39;Bell"}'), ["Ada O'Bell"]),
        (json_ld('{"@type": "Article", "creator": {"@list": ["Ada Bell"]}}'), AB[:1]),
        (
            json_ld(
                '{"@graph": [{"@type": "WebSite", "author": {"name": "Not Me"}},'
                '{"@type": "Article", "author": {"@id": "#a"}}, {"@id": "#a", "name": "Ada Bell"}]}'
            ),
            AB[:1],
        ),
        (
            "<meta name=author content='Cy Dee'>"
            + json_ld('{"@type": "Article", "author": {"name": "Ada Bell"}}'),
            AB[:1],
        ),
        (
            json_ld('{"@type": "Article", "author": {"@type": "Organization", "name": "Acme"}}')
            + "<a rel=author>Ada Bell</a>",
            AB[:1],
        ),
        (json_ld('{"@type": "Article", "author": {"@type": "Organization", "name": "Acme"}}'), ["Acme"]),
        ("<meta name=citation_author content='Bell, Ada'><meta name=citation_author content='Dee, Cy'>", AB),
        ("<meta name=byl content='By Ada Bell, Cy Dee'>", AB),
        ("<meta name=author content='Ada Bell; Cy Dee'>", AB),
        ("<meta name=author content='Ada Bell, PhD'>", AB[:1]),
        ("<meta name=author content='Ada Bell, Senior Editor'>", AB[:1]),
        ("<meta name=twitter:label1 content='Written by'><meta name=twitter:data1 content='Ada Bell'>", AB[:1]),
        ("<meta name=twitter:label1 content='Reading time'><meta name=twitter:data1 content='Five'>", []),
        ("<p><a rel=author>Ada Bell</a> <a rel=author>Cy Dee</a></p>", AB),
        ("<p itemprop=author><img alt=x><span itemprop=name>Ada Bell</span> Editor</p>", AB[:1]),
        ("<h1>T</h1><p>Von Ada Bell</p>", AB[:1]),
        ("<h1>T</h1><p>By <a>Ada Bell</a> | 2 January 2024</p>", AB[:1]),
        ("<h1>T</h1><p>By the river it was dark.</p>", []),
        ("<div class=post-author>Posted by Ada Bell on 2 January 2024</div>", AB[:1]),
        ("<div class=byline>\n by\n <b>Ada Bell</b> </div>", AB[:1]),
        ("<div class=comment><p class=author>Ada Bell</p></div>", []),
    ],
)  # fmt: skip
def test_authors_are_found_in_order(html: str, names: list[str]) -> None:
    assert fact("authors", html) == names
    assert fact("author", html) == (", ".join(names) or None)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "https://example.com/ada",
            "//example.com/ada",
            "www.example.com",
            "@ada",
            "ada@b.example",
        ),
        *("admin", "Redaktion", "Editor", "null", "undefined", "", " ", "-", "x", "x" * 100),
        *("19.11.2021", "5 Min Read", "The Daily", "example.com", "Example"),
        *(
            "Last Updated",
            "Society for Good",
            "Mac & i",
            "je ne sais pas qui",
            "What is this?",
            "one two three four five six seven",
        ),
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    site = "<meta property=og:site_name content='The Daily'>"
    assert fact("authors", f"{site}<meta name=author content='{text}'>") == []


@pytest.mark.parametrize(
    "name",
    [
        "ada",
        "Ludwig van Beethoven",
        "T. V. Raman",
        "freeman1984",
        "Ada O\u2019Bell-Dee",
        "محمد علي",
        "山田太郎",
    ],
)
def test_names_of_many_kinds_are_kept(name: str) -> None:
    assert fact("authors", f"<meta name=author content='{name}'>") == [name]


def test_the_number_of_authors_is_bounded() -> None:
    names = ",".join(f'"Ada {chr(97 + n // 26)}{chr(97 + n % 26)}".'.strip(".") for n in range(600))
    assert len(fact("authors", json_ld(f'{{"author": [{names.title()}]}}'))) == 20


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        *((name, name) for name in ("Marie Le Pen", "Mohamed El Baradei", "El Greco")),
        *((name, name) for name in ("Le Corbusier", "Per Hansson", "Von Miller", "De Niro")),
        *((name, name) for name in ("Story Musgrave", "Di Maria", "X Æ A-12", "On Kawara")),
        ("By Ada Bell", "Ada Bell"),
        ("Posted by Ada Bell", "Ada Bell"),
        ("<b>Ada Bell</b>", "Ada Bell"),
        ("Ada Bell, Senior Editor", "Ada Bell"),
        ("Ada Bell | The Daily", "Ada Bell"),
        ("admin", None),
    ],
)
def test_the_name_of_a_person_is_taken_as_it_stands(stated: str, name: str | None) -> None:
    person = f'{{"@type": "Person", "name": "{stated}"}}'
    html = json_ld(f'{{"@type": "Article", "author": {person}}}')
    assert fact("authors", html) == ([name] if name else [])


def test_the_name_of_an_author_may_have_its_namespace() -> None:
    html = json_ld('{"@type": "schema:Article", "schema:author": {"schema:name": "Ada Bell"}}')
    assert fact("authors", html) == AB[:1]
