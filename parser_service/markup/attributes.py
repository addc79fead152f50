"""Read the attributes of elements, whichever parser found them."""

from collections.abc import Iterable, Mapping

import ada_url

from parser_service.markup.document import Link
from parser_service.markup.text import collapse_whitespace

Attributes = Mapping[str, str | None]

# Most links of most pages are these, and no fact is in them.
_OF_RESOURCES = frozenset(
    {"", "stylesheet", "preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch"}
)


def meta_by_name(metas: Iterable[Attributes]) -> dict[str, list[str]]:
    """Collect the contents of `<meta>` elements by every name that they give."""
    named: dict[str, list[str]] = {}
    for attributes in metas:
        content = attributes.get("content")
        if content is None:
            continue
        for name in _names(attributes):
            named.setdefault(name, []).append(content)
    return named


def _names(attributes: Attributes) -> Iterable[str]:
    names: dict[str, None] = {}
    for attribute, value in attributes.items():
        if not value:
            continue
        if attribute in ("name", "http-equiv"):
            names[value.strip().lower()] = None
        elif attribute in ("property", "itemprop"):
            # RDFa and microdata allow several names in one attribute.
            names.update(dict.fromkeys(value.lower().split()))
    names.pop("", None)
    return names


def links_of(links: Iterable[Attributes]) -> list[Link]:
    """Make links of the `<link>` elements that have an address, but for those of mere resources."""
    return [
        Link(
            rel=frozenset(rel.lower().split()),
            href=href.strip(),
            type=(attributes.get("type") or "").strip().lower(),
            title=collapse_whitespace(title) if (title := attributes.get("title")) else "",
        )
        for attributes in links
        if (rel := attributes.get("rel") or "") not in _OF_RESOURCES
        and (href := attributes.get("href"))
    ]


def base_url_of(url: str, bases: Iterable[str | None]) -> str:
    """Return the document base URL (HTML Standard): that of the first `<base>` with an address.

    Args:
        url: the page's own, which counts if that address is not an http or https URL.
        bases: the `href` of each `<base>`.
    """
    href = next((href for href in bases if href is not None), None)
    if href is None:
        return url
    try:
        base = ada_url.URL(href, base=url)
    except ValueError:
        return url
    return str(base.href) if base.protocol in ("http:", "https:") else url


def is_json_ld(script: Attributes) -> bool:
    """Return whether a `<script>` with these attributes holds JSON-LD."""
    essence = (script.get("type") or "").partition(";")[0]
    return essence.strip().lower() == "application/ld+json"
