"""Find all facts of a page: each by the extractor that has its name."""

from collections.abc import Callable, Mapping
from importlib import import_module

from parser_service.markup.document import Document
from parser_service.page import Metadata


def _import_extractor(fact: str) -> Callable[[Document], object]:
    extractor: Callable[[Document], object] = getattr(
        import_module(f"parser_service.extractors.{fact}"), fact
    )
    return extractor


# By name, so that a new fact is one module here and one member of `Metadata`, with no list of
# both to keep. What mypy cannot see of it, test_extractors.py checks: that the module is there,
# and that its function takes a document and returns what the member holds.
EXTRACTORS: Mapping[str, Callable[[Document], object]] = {
    fact: _import_extractor(fact) for fact in Metadata.model_fields
}


def extract_metadata(document: Document) -> Metadata:
    """Find all facts of a page; wrong markup yields null or nothing, never an error."""
    return Metadata.model_validate({fact: document.once(find) for fact, find in EXTRACTORS.items()})
