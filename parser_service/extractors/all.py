"""Find all facts of a page: each by the extractor that has its name."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import get_origin

from parser_service.markup.document import Document
from parser_service.markup.faults import Faults
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
# What the members hold of a page that states nothing: an empty list or object, or null.
_ABSENT: Mapping[str, object] = {
    fact: kind() if (kind := get_origin(field.annotation)) in (list, dict) else None
    for fact, field in Metadata.model_fields.items()
}


def extract_metadata(document: Document, faults: Faults) -> Metadata:
    """Find all facts of a page; wrong markup yields null or nothing, never an error.

    Args:
        document: the page.
        faults: collects what extractors failed on; their facts are null, or empty.
    """
    return Metadata.model_validate(
        {
            fact: faults.guard(fact, partial(document.once, find), _ABSENT[fact])
            for fact, find in EXTRACTORS.items()
        }
    )
