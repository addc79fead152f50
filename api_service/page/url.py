"""The normal form of a page's URL, as a browser reads it."""

import ada_url

MAX_URL_LENGTH = 2083
"""Characters of a URL as a client sends it."""
MAX_NORMALISED_LENGTH = 8192
"""Characters of a URL in its normal form, with its letters escaped: the parser's limit."""

_INVALID_SCHEME_MESSAGE = "must begin with http:// or https://, such as https://example.com/"
_INVALID_HOST_MESSAGE = "must have a valid host and port, such as https://example.com/"


def normalise_url(text: str) -> str:
    """The WHATWG URL Standard's reading of an http or https URL: what a browser would ask for.

    The parser gets this form and never the raw text, so that no two parsers of URLs can
    disagree about its host.

    Raises:
        ValueError: it has none. The message ends a sentence that begins with the URL's name.
    """
    try:
        url = ada_url.URL(text)
    except ValueError:  # also UnicodeEncodeError, for a lone surrogate
        has_scheme = text.strip().lower().startswith(("http:", "https:"))
        raise ValueError(_INVALID_HOST_MESSAGE if has_scheme else _INVALID_SCHEME_MESSAGE) from None
    if url.protocol not in ("http:", "https:"):
        raise ValueError(_INVALID_SCHEME_MESSAGE)
    if url.username or url.password:
        raise ValueError("must be without user name and password")
    if not url.hostname or url.port == "0":
        raise ValueError(_INVALID_HOST_MESSAGE)
    if len(url.href) > MAX_NORMALISED_LENGTH:
        raise ValueError(
            f"must have at most {MAX_NORMALISED_LENGTH:,} characters once its letters are escaped"
        )
    return str(url.href)
