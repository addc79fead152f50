"""The day of publication: what the page states, else what its readers see."""

import pytest

from tests.parser.extractors.facts import fact, json_ld

TEXT = "<p>Words of the article.</p>"


@pytest.mark.parametrize(
    ("html", "time"),
    [
        (json_ld('{"@type": "VideoObject", "uploadDate": "2024-01-01"}'), None),
        (json_ld('{"@type": "Comment", "datePublished": "2024-01-01"}'), None),
        (
            json_ld('{"@type": "WebPage", "datePublished": "2020-01-01"}')
            + json_ld('{"@type": "BlogPosting", "datePublished": "2024-01-02"}'),
            "2024-01-02",
        ),
        (json_ld('{"@type": "Article", "dateCreated": ["2024-01-02"]}'), "2024-01-02"),
        (
            json_ld('{"@type": "Article", "datePublished": 1705051200000}'),
            "2024-01-12T09:20:00+00:00",
        ),
        (
            json_ld(
                '{"@type": "Article", "datePublished": {"@type": "Date", "@value": "2024-01-02"}}'
            ),
            "2024-01-02",
        ),
        ("<meta name=bt:pubDate content=2024-01-02>", "2024-01-02"),
        ("<meta name=date content=soon><meta name=date content=2024-01-02>", "2024-01-02"),
        ("<span itemprop='x datePublished' content=2024-01-02>today</span>", "2024-01-02"),
        ("<span property=schema:datePublished content=2024-01-02>today</span>", "2024-01-02"),
        ("<abbr class=published title=2024-01-02>today</abbr>", "2024-01-02"),
        ("<time>now</time><time datetime=2024-01-02>today</time>", "2024-01-02"),
        (
            "<time datetime=2020-01-01></time><article><time datetime=2024-01-02></time></article>",
            "2024-01-02",
        ),
        (
            "<time class=updated datetime=2020-01-01></time><time datetime=2024-01-02></time>",
            "2024-01-02",
        ),
        ("<aside><time datetime=2020-01-01></time></aside>", None),
        ("<div id=comments><p><time datetime=2020-01-01></time></div>", None),
        ("<h1>T</h1><div><p>By A. Uthor</p><p>2. Januar 2024</div>", "2024-01-02"),
        ("<h1>T</h1><script>'2020-01-01'</script><p>2. Januar 2024", "2024-01-02"),
        ("<h1>T</h1><p>" + "word " * 100 + "2. Januar 2024", None),
        ("<p class=post-date>Posted on 2 January 2024</p>", "2024-01-02"),
        ("<p class=event-date>2 January 2024</p>", None),
        ("<p class=date>1/2/2024</p>", None),
        (TEXT, None),
    ],
)
def test_the_day_of_the_page_is_found(html: str, time: str | None) -> None:
    assert fact("published_time", html) == time


@pytest.mark.parametrize(
    ("path", "day"),
    [
        ("2024/01/02/title", "2024-01-02"),
        ("news-20240102-title", "2024-01-02"),
        ("a?date=2024/01/02", None),
        ("2024/13/02/title", None),
        ("120240102", None),
        ("1066/10/14/hastings", None),
    ],
)
def test_the_day_may_be_in_the_path(path: str, day: str | None) -> None:
    assert fact("published_time", TEXT, url=f"https://example.com/{path}") == day


@pytest.mark.parametrize(
    ("time", "shown", "result"),
    [
        ("2024-01-01T23:30:00Z", "2 January 2024", "2024-01-02"),
        ("2024-01-02T03:00:00Z", "1 January 2024", "2024-01-01"),
        ("2024-01-01T23:30:00Z", "1 January 2024", "2024-01-01T23:30:00+00:00"),
        ("2024-01-01T10:30:00Z", "2 January 2024", "2024-01-01T10:30:00+00:00"),
        ("2024-01-01T23:30:00Z", "5 January 2024", "2024-01-01T23:30:00+00:00"),
        ("2024-01-01T23:30:00+02:00", "2 January 2024", "2024-01-01T23:30:00+02:00"),
        ("2024-01-01T23:30:00", "2 January 2024", "2024-01-01T23:30:00"),
    ],
)
def test_a_day_in_utc_gives_way_to_the_pages_own(time: str, shown: str, result: str) -> None:
    html = f"<meta property=article:published_time content={time}><h1>T</h1><p>{shown}</p>"
    assert fact("published_time", html) == result


def test_of_the_same_time_that_with_the_pages_own_offset_counts() -> None:
    html = "<meta property=article:published_time content=2024-01-01T23:30:00Z>" + json_ld(
        '{"@type": "Article", "datePublished": "2024-01-02T00:30:00+01:00"}'
    )
    assert fact("published_time", html) == "2024-01-02T00:30:00+01:00"


def test_deep_and_wide_pages_are_looked_at_within_bounds() -> None:
    assert (
        fact("published_time", "<div class=date>" * 5000 + "<h1>T</h1>" + "<i>x</i>" * 5000) is None
    )


@pytest.mark.parametrize(
    ("url", "day"),
    [
        ("https://example.com/x?id=2", "2024-01-02"),
        ("https://example.com/x?id=1", "2001-01-01"),
        ("https://example.com/x?id=3", "2001-01-01"),
    ],
)
def test_of_articles_that_differ_in_the_query_the_pages_own_counts(url: str, day: str) -> None:
    one = '{"@type": "NewsArticle", "url": "https://example.com/x?id=%d", "datePublished": "%s"}'
    script = json_ld(f"[{one % (1, '2001-01-01')}, {one % (2, '2024-01-02')}]")
    assert fact("published_time", script, url=url) == day


def test_an_address_without_the_query_of_the_page_is_its_own() -> None:
    one = '{"@type": "NewsArticle", "url": "https://example.com/%s", "datePublished": "%s"}'
    script = json_ld(f"[{one % ('y', '2001-01-01')}, {one % ('x', '2024-01-02')}]")
    url = "https://example.com/x?utm_source=a"
    assert fact("published_time", script, url=url) == "2024-01-02"


@pytest.mark.parametrize(
    ("shown", "day"),
    [
        ("<p>The storm of January 1, 2024 was a bad one", None),
        ("<p>What happened on January 1, 2024", None),
        ("<p>January 1, 2024", "2024-01-01"),
        ("<p>Posted on Monday, January 1, 2024", "2024-01-01"),
        ("<p>By Ada Bell | January 1, 2024 9:30 pm", "2024-01-01"),
        ("<p>Published January 3, 2024", None),
        ("<p>Words.<p class=post-date>It was January 1, 2024", "2024-01-01"),
    ],
)
def test_only_a_date_as_such_replaces_the_day_of_a_time_in_utc(shown: str, day: str | None) -> None:
    time = "2024-01-02T03:30:00Z"
    html = f"<meta property=article:published_time content={time}><h1>T</h1>{shown}"
    assert fact("published_time", html) == (day or time.replace("Z", "+00:00"))
