"""Score the parser and the fetcher on cases from outside this project.

`make conformance` runs it and writes the table of scores into `docs/conformance.md`.
`test_conformance.py` asserts the same scores.
"""

import asyncio
import base64
import json
import logging
import sys
import tarfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import structlog
import webencodings

from parser_service.config import Settings
from parser_service.dependencies import open_pipeline
from parser_service.exceptions import FetchError, InvalidUrlError
from parser_service.fetching.url_guard import is_public, parse_url
from parser_service.markup import content_type as ct
from parser_service.parser import ParsedPage, RawPage, parse
from tests.data.page_facts import FACT_SCORES
from tests.data.score import Score
from tests.support.cases import FOLDER, cases, located
from tests.support.dialler import recording_socket
from tests.support.dns import open_name_server
from tests.support.pages import Pages
from tests.support.site import Site, open_site

PUBLIC = "203.0.114.7"
CODES = frozenset(
    error.code for error in FetchError.__subclasses__() if error is not InvalidUrlError
)


def collapse(title: str | None) -> str:
    """Strip and collapse ASCII white space; an absent title is an empty one."""
    text = (title or "").translate(dict.fromkeys(map(ord, "\t\n\r\x0c"), " "))
    return " ".join(filter(None, text.split(" ")))[:1000]


def _parse(body: bytes, content_type: str, url: str | None = None) -> ParsedPage:
    declared = ct.extract([content_type])
    markup = ct.markup_of(declared, body[:1445]) or ct.Markup.HTML
    charset = declared.charset if declared else None
    return parse(RawPage(body, markup, url or "https://example.com/a/b", charset))


def _titles(score: Score, rows: Iterator[tuple[dict[str, Any], bytes, str | None]]) -> Score:
    for case, body, expected in rows:
        try:
            title = _parse(body, case["http_content_type"]).title
        except Exception as error:  # noqa: BLE001 - a crash is also a wrong answer
            title = repr(error)
        score.count(title == collapse(expected), (case["name"], title))
    return score


def _bodies(name: str, key: str = "bytes_base64") -> Iterator[tuple[dict[str, Any], bytes]]:
    for case in cases(name):
        if key in case and not case.get("advisory"):
            yield case, base64.b64decode(case[key])


def tree_titles() -> Score:
    score = Score("html5lib_tree_titles", "title of html5lib's tree construction tests", "≥ 1598")
    rows = _bodies("html5lib_tree_titles.jsonl")
    return _titles(score, ((case, body, case["expected_title"]) for case, body in rows))


def encoding_probes() -> Score:
    score = Score("html5lib_encoding probes", "title in html5lib's encoding tests", "all")
    rows = _bodies("html5lib_encoding.jsonl", "probe_bytes_base64")
    return _titles(score, ((case, body, case["probe_expected_title"]) for case, body in rows))


def encodings() -> Score:
    score = Score("html5lib_encoding", "encoding in html5lib's encoding tests", "all")
    for case, body in _bodies("html5lib_encoding.jsonl"):
        charset = _parse(body, case["http_content_type"]).charset
        score.count(charset == case["expected_charset"], (case["name"], charset))
    return score


def label_titles() -> Score:
    score = Score("wpt_label_titles", "title and encoding for each of the 228 labels", "all")
    for case, body in _bodies("wpt_label_titles.jsonl"):
        facts = _parse(body, case["http_content_type"])
        right = facts.title == collapse(case["expected_title"])
        score.count(right and facts.charset == case["expected_charset"], case["name"])
    return score


def i18n_probes() -> Score:
    score = Score("wpt_i18n_charset_probe", "byte order mark over header over meta", "all")
    rows = _bodies("wpt_i18n_charset_probe.jsonl")
    return _titles(score, ((case, body, case["expected_title"]) for case, body in rows))


def title_whitespace() -> Score:
    score = Score("wpt_title_whitespace", "which white space is stripped from a title", "all")
    rows = _bodies("wpt_title_whitespace.jsonl")
    return _titles(score, ((case, body, case["expected_title"]) for case, body in rows))


def static_titles() -> Score:
    score = Score("wpt_static_titles", "title of the web platform tests' pages", "≥ 99.5 %")
    rows = _bodies("wpt_static_titles.jsonl.xz")
    return _titles(score, ((case, body, case["expected_title"]) for case, body in rows))


def real_pages() -> Score:
    score = Score("real_pages", "title of real pages", "all")
    with tarfile.open(located("real_pages.tar.xz")) as archive:
        bodies = {m.name: f.read() for m in archive if (f := archive.extractfile(m))}
    rows = ((c, bodies[c["path"]], c["expected_title"]) for c in cases("real_pages.jsonl"))
    return _titles(score, rows)


def content_types() -> Score:
    score = Score("wpt_content_types", "several Content-Type headers as one", "all")
    for case in cases_of_array("wpt_content_types.json"):
        got = ct.extract(case["contentType"])
        encoding = webencodings.lookup(got.charset) if got and got.charset else None
        right = (got.essence if got else None) == case["documentContentType"]
        expected = case["encoding"].lower() if case["encoding"] else None
        score.count(right and (encoding.name if encoding else None) == expected, case)
    return score


def mime_types() -> Score:
    score = Score("wpt_mime_types", "the charset parameter of a MIME type", "all")
    for case in cases_of_array("wpt_mime_types.json"):
        if isinstance(case, str):
            continue
        got = ct.parse(case["input"])
        encoding = webencodings.lookup(got.charset) if got and got.charset else None
        expected = case["encoding"].lower() if case.get("encoding") else None
        right = (got is None) == (case["output"] is None)
        score.count(right and (encoding.name if encoding else None) == expected, case["input"])
    return score


def cases_of_array(name: str) -> list[Any]:
    found: list[Any] = json.loads(located(name).read_text())
    return found


def addresses() -> Score:
    score = Score("ssrf_ips", "addresses that must be refused, and that must pass", "all")
    for case in cases("ssrf_ips.jsonl"):
        must_refuse = case["strict"] and not case.get("advisory")
        must_pass = case["must_block"] is False and not case.get("either")
        if not (must_refuse or must_pass):
            continue
        try:
            public = is_public(ip_address(case["ip"]))
        except ValueError:
            public = False
        score.count(public == must_pass, case["ip"])
    return score


def url_readings() -> Score:
    score = Score("url_differentials", "URLs that other parsers read differently", "all")
    for case in cases("url_differentials.jsonl"):
        try:
            host: str | None = parse_url(case["input"]).host
        except InvalidUrlError:
            host = None
        score.count(host in (None, (case["whatwg"] or "").strip("[]")), case["input"])
    return score


Guarded = Callable[[str], Awaitable[str]]


async def _with_guard(use: Callable[[Guarded, Site, Any, list[Any]], Awaitable[None]]) -> None:
    """Fetch without exceptions to the table of networks; every connection goes to loopback."""
    async with open_name_server() as names, open_site() as site:
        sockets, dialled = recording_socket(site.port)
        settings = Settings(fetch_nameservers=(names.address,), fetch_timeout=3)
        async with open_pipeline(settings, socket_class=sockets) as handler:
            pages = Pages(handler)

            async def get(url: str) -> str:
                try:
                    await pages.get(url)
                except FetchError as error:
                    return error.code
                return "success"

            await use(get, site, names, dialled)


async def attack_urls() -> Score:
    score = Score("ssrf_urls", "URLs of attackers: no dial to the inside", "all")
    listed = cases("ssrf_urls.jsonl")  # first, since the test skips if they are absent

    async def use(get: Guarded, _: Site, names: Any, dialled: list[Any]) -> None:
        for case in listed:
            names.names = {n.lower(): a for n, a in (case.get("dns") or {}).items()}
            dialled.clear()
            code = await get(case["url"])
            inside = any(not is_public(ip_address(host)) for host, _ in dialled)
            reached = bool(case["must_block"]) and (bool(dialled) or code == "success")
            score.count(not inside and not reached, case["url"])

    await _with_guard(use)
    return score


async def redirects() -> Score:
    score = Score("redirect_locations", "Location headers of attackers: likewise", "all")
    listed = cases("redirect_locations.jsonl")  # as above

    async def use(get: Guarded, site: Site, names: Any, dialled: list[Any]) -> None:
        names.names = {"a.example": [PUBLIC]}
        for case in listed:
            location = case["location"].encode("utf-8", "surrogateescape")
            head = b"HTTP/1.1 302 X\r\nContent-Length: 0\r\nLocation: " + location
            site.raw("/", head + b"\r\n\r\n")
            dialled.clear()
            code = await get("http://a.example/")
            inside = any(not is_public(ip_address(host)) for host, _ in dialled)
            score.count(not inside and (code == "success" or code in CODES), case["location"])

    await _with_guard(use)
    return score


async def http_responses() -> Score:
    score = Score(
        "http_responses", "broken HTTP: a declared code, and the next page is served", "all"
    )
    listed = cases("http_responses.jsonl")  # as above
    async with open_site() as site:
        settings = Settings(
            fetch_allowed_networks=(ip_network("127.0.0.0/8"),),
            fetch_allowed_ports=frozenset({site.port}),
            fetch_timeout=3,
        )
        good = site.page("/good", "<title>good</title>")
        codes: Counter[str] = Counter()
        async with open_pipeline(settings) as handler:
            pages = Pages(handler)
            for case in listed:
                url = site.raw("/", base64.b64decode(case["bytes_base64"]))
                code = "success"
                try:
                    await pages.get(url)
                except FetchError as error:
                    code = error.code
                after = await pages.get(good)
                codes[code] += 1
                declared = code == "success" or (code in CODES and code != "internal_error")
                score.count(declared and after.title == "good", (case["name"], code))
    score.what += f" ({', '.join(f'{n} {code}' for code, n in codes.most_common())})"
    return score


SCORES: tuple[Callable[[], Score], ...] = (
    tree_titles,
    encodings,
    encoding_probes,
    label_titles,
    i18n_probes,
    title_whitespace,
    static_titles,
    real_pages,
    content_types,
    mime_types,
    addresses,
    url_readings,
)
FETCH_SCORES: tuple[Callable[[], Awaitable[Score]], ...] = (
    attack_urls,
    redirects,
    http_responses,
)

HEAD = """# Conformance

This table shows how the parser and the fetcher score on public test suites and corpora that were
written outside this project. Their licences differ from ours, so the cases are not part of the
tree. `make conformance` makes this table on a machine that has them (`CASES_DIR`).

| cases | what is checked | right | of | wanted |
| --- | --- | ---: | ---: | --- |
"""


async def _fetch_scores() -> list[Score]:
    return [await score() for score in FETCH_SCORES]


def main() -> None:
    """Print and write the table."""
    if not FOLDER.exists():
        sys.exit(f"{FOLDER} is absent; set CASES_DIR to the folder that holds the cases.")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    scores = [score() for score in (*SCORES, *FACT_SCORES)] + asyncio.run(_fetch_scores())
    rows = [f"| {s.name} | {s.what} | {s.right} | {s.total} | {s.target} |\n" for s in scores]
    table = HEAD + "".join(rows)
    print(table)
    for score in scores:
        for case in score.wrong[:10]:
            print(score.name, "wrong:", case)
    path = Path(__file__).resolve().parent.parent.parent / "docs" / "conformance.md"
    path.write_text(table)


if __name__ == "__main__":
    main()
