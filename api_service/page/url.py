"""The normal form of a page's URL, as a browser reads it."""

import ada_url

MAX_URL_LENGTH = 2083
"""Characters of a URL as a client sends it."""
MAX_NORMALISED_LENGTH = 8192
"""Characters of a URL in its normal form, with its letters escaped: the parser's limit."""


def normalise_url(text: str) -> str:
    """The WHATWG URL Standard's reading of an http or https URL: what a browser would ask for.

    The parser gets this form and never the raw text, so that no two parsers of URLs can
    disagree about its host.
    """
    try:
        url = ada_url.URL(text)
    except ValueError:  # also UnicodeEncodeError, for a lone surrogate
        raise ValueError("this is not an absolute URL") from None
    if url.protocol not in ("http:", "https:"):
        raise ValueError("only http and https URLs can be fetched")
    if url.username or url.password:
        raise ValueError("a URL with a user name or password is not accepted")
    if not url.hostname or url.port == "0" or len(url.href) > MAX_NORMALISED_LENGTH:
        raise ValueError("this URL cannot be fetched")
    return str(url.href)
