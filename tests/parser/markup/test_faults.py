"""No page makes the parser fail: where an extractor does, the page lacks one fact."""

import pytest

from parser_service.extractors import all as all_extractors
from parser_service.markup.content_type import Markup
from parser_service.markup.document import Document
from parser_service.page import Metadata
from parser_service.parser import RawPage, parse

PAGE = (
    "<html lang=en><title>A</title><meta name=description content=B>"
    "<meta property=og:image content=/i><meta name=keywords content=k>"
)
EMPTY = parse(RawPage(b"", Markup.HTML, "https://example.com/")).metadata.model_dump()


def _raw(html: str) -> RawPage:
    return RawPage(html.encode(), Markup.HTML, "https://example.com/", "utf-8")


@pytest.mark.parametrize("broken", sorted(Metadata.model_fields))
def test_a_fact_whose_extractor_fails_is_absent_and_all_others_are_there(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Document) -> object:
        raise KeyError("oh")

    usual = parse(_raw(PAGE))
    monkeypatch.setattr(all_extractors, "EXTRACTORS", {**all_extractors.EXTRACTORS, broken: fail})
    page = parse(_raw(PAGE))
    assert page.metadata.model_dump() == {**usual.metadata.model_dump(), broken: EMPTY[broken]}
    assert page.title == "A"
    assert [fault.partition(":")[0] for fault in page.faults] == [broken]
    assert "KeyError('oh')" in page.faults[0]
    assert not usual.faults


def test_memory_that_runs_out_is_no_fault_of_an_extractor(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Document) -> object:
        raise MemoryError

    monkeypatch.setattr(all_extractors, "EXTRACTORS", {"author": fail})
    with pytest.raises(MemoryError):
        parse(_raw(PAGE))


def test_an_entity_of_a_huge_number_in_json_ld_breaks_nothing() -> None:
    script = '<script type="application/ld+json">{&#' + "9" * 5000 + ";}</script>"
    page = parse(_raw(script + PAGE))
    assert (page.title, page.metadata.description, page.metadata.json_ld) == ("A", "B", [])
    assert not page.faults
