"""Score the day, the authors, the language and the site's name of real pages."""

import re
import tarfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from parser_service.markup.content_type import Markup
from parser_service.page import Metadata
from parser_service.parser import RawPage, parse
from tests.data.score import Score
from tests.support.cases import cases, located

Row = tuple[str, Metadata, dict[str, Any]]


@cache
def _gold_pages() -> list[Row]:
    return list(_parsed("metadata_pages.tar.xz", cases("metadata_gold.jsonl"), "name"))


@cache
def _real_pages() -> list[Row]:
    rows = [row for row in cases("real_pages.jsonl") if row.get("corpus")]
    return [
        (name, metadata, case["corpus"])
        for name, metadata, case in _parsed("real_pages.tar.xz", rows, "path")
    ]


def _parsed(archive_name: str, rows: Iterable[dict[str, Any]], key: str) -> Iterator[Row]:
    with tarfile.open(located(archive_name)) as archive:
        bodies = {m.name: f.read() for m in archive if (f := archive.extractfile(m))}
    for row in rows:
        url = row.get("url") or "https://example.com/"
        page = parse(RawPage(bodies[row[key]], Markup.HTML, url))
        yield row[key], page.metadata, row


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"\w+", text))


def _names(texts: Iterable[str]) -> set[str]:
    return {_folded(name) for text in texts for name in re.split("[;,]", text)} - {""}


def _score(
    score: Score,
    rows: Iterable[Row],
    key: str,
    *,
    found: Callable[[Metadata], Any],
    wanted: Callable[[Any], Any],
) -> Score:
    for name, metadata, stated in rows:
        if not stated.get(key):
            continue
        answer, right = found(metadata), wanted(stated[key])
        score.absent += not answer
        score.count(answer == right, (name, answer, stated[key]))
    score.what += f" ({score.precision:.1%} of those given)"
    return score


def days() -> Score:
    return _score(
        Score("metadata_gold day", "day of publication of real pages", "≥ 75 %, ≥ 90 % of given"),
        _gold_pages(),
        "date",
        found=lambda metadata: (metadata.published_time or "")[:10],
        wanted=lambda stated: stated,
    )


def authors() -> Score:
    return _score(
        Score("metadata_gold author", "all authors of real pages", "≥ 57 %, ≥ 76 % of given"),
        _gold_pages(),
        "author",
        found=lambda metadata: _names(metadata.authors),
        wanted=lambda stated: _names(stated if isinstance(stated, list) else [stated]),
    )


def site_names() -> Score:
    return _score(
        Score("real_pages site name", "name of the site of real pages", "≥ 90 %"),
        _real_pages(),
        "siteName",
        found=lambda metadata: _folded(metadata.site_name or ""),
        wanted=_folded,
    )


def languages() -> Score:
    return _score(
        Score("real_pages language", "language of real pages", "≥ 95 %"),
        _real_pages(),
        "lang",
        found=lambda metadata: (metadata.language or "")[:2].lower(),
        wanted=lambda stated: stated[:2].lower(),
    )


FACT_SCORES: tuple[Callable[[], Score], ...] = (days, authors, site_names, languages)
LEAST = {
    "metadata_gold day": (0.75, 0.90),
    "metadata_gold author": (0.57, 0.76),
    "real_pages site name": (0.90, 0.90),
    "real_pages language": (0.95, 0.95),
}
"""Shares of the cases, and of the answers that are given, that must be right."""
