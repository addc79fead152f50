"""The JSON-LD objects of a page."""

from typing import Any

from parser_service.markup.document import Document


def json_ld(document: Document) -> list[dict[str, Any]]:
    """Return the page's objects, those of a list one by one."""
    return list(document.json_ld.objects)
