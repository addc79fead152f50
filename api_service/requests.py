"""What clients send."""

from typing import Annotated

import ada_url
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_URL_LENGTH = 2083
"""Characters of a URL as a client sends it."""
MAX_NORMALISED_LENGTH = 8192
"""Characters of a URL in its normal form, with its letters escaped: the parser's limit."""
MAX_WAIT = 30
"""Seconds that a client may wait for a request to end."""


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


PageUrl = Annotated[
    str,
    Field(
        description="An absolute http or https URL of at most 2,083 characters.",
        examples=["https://example.com/"],
        min_length=1,
        max_length=MAX_URL_LENGTH,
        json_schema_extra={"format": "uri"},
    ),
    AfterValidator(normalise_url),
]


class PageOptions(BaseModel):
    """What a client may ask for besides a URL."""

    respect_robots: Annotated[
        bool,
        Field(description="Whether the site's robots.txt is asked, and obeyed."),
    ] = False
    title_fallback: Annotated[
        bool,
        Field(
            description=(
                "Whether `og:title` or the first `h1` stands in where a page has no title; "
                "`title_source` tells."
            )
        ),
    ] = False

    def chosen(self) -> dict[str, bool]:
        """The options that are on."""
        return {name: True for name in PageOptions.model_fields if getattr(self, name)}


class ParseAsyncBody(PageOptions):
    """The body of `POST /parse_async`."""

    # In JSON a boolean is a boolean: what else pydantic takes for one is a client's mistake.
    model_config = ConfigDict(strict=True)

    url: PageUrl


class ParseSyncQuery(PageOptions):
    """The query of `GET /parse_sync`."""

    url: PageUrl


class WaitQuery(BaseModel):
    """The query of `GET /status/{request_id}` and `GET /result/{request_id}`."""

    wait: Annotated[
        float,
        Field(
            ge=0,
            le=MAX_WAIT,
            allow_inf_nan=False,
            description=(
                "Seconds to wait for the request to end before the answer is sent: as soon as "
                "it has ended, or when the time is over."
            ),
        ),
    ] = 0
