"""Read `Refresh`, as a header or a `<meta>`: some sites write it in place of a redirect.

The form is that of the HTML Standard's shared declarative refresh steps (7.4.6.4).
"""

import re

import ada_url

MAX_SECONDS = 1
"""A page that asks for another after a longer time is meant to be read."""

_REFRESH = re.compile(
    # Possessive: what is no refresh is found out once, and not once for each of its digits.
    r"\s*+(?P<seconds>[0-9]++)?+(?P<fraction>[0-9.]*+)"
    r"(?:[\s;,]\s*+[;,]?+\s*+(?:url\s*+=\s*+)?(?P<target>.*+))?+",
    re.IGNORECASE | re.DOTALL,
)


def immediate_target(value: str | None, *, base_url: str, url: str) -> str | None:
    """Return the URL that a refresh leads to within `MAX_SECONDS`; None if it leads nowhere else.

    Args:
        value: of the header, or the content of the `<meta>`.
        base_url: what relative URLs are read against.
        url: the page's own.
    """
    found = _REFRESH.fullmatch(value or "")
    if not found or not (found["seconds"] or found["fraction"].startswith(".")):
        return None
    if int((found["seconds"] or "0")[:9]) > MAX_SECONDS or not found["target"]:
        return None
    try:
        target = ada_url.URL(_unquoted(found["target"]), base=base_url)
    except ValueError:
        return None
    if target.protocol not in ("http:", "https:"):
        return None
    target.hash = ""
    return None if target.href == url.partition("#")[0] else str(target.href)


def _unquoted(text: str) -> str:
    if text[:1] in ('"', "'"):
        return text[1:].partition(text[0])[0]
    return text
