"""Describe a page: the options a client chooses and the facts that this service finds."""

import asyncio
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json


class PageOptions(BaseModel):
    """Hold what a client may choose besides a URL. Jobs and queries inherit these members."""

    model_config = ConfigDict(frozen=True)

    respect_robots: Annotated[bool, Field(description="Obey the site's robots.txt.")] = False
    title_fallback: Annotated[
        bool, Field(description="Use og:title or the first h1 if the page has no title.")
    ] = False

    @classmethod
    def of(cls, carrier: Self) -> Self:
        """Copy only the options from a job or a query."""
        return cls(**{name: getattr(carrier, name) for name in cls.model_fields})


class Feed(BaseModel):
    """A feed that a page links to."""

    url: Annotated[str, Field(description="Its absolute URL.")]
    type: Annotated[str, Field(description="Its MIME type.")]
    title: Annotated[str | None, Field(description="The feed's title on the page.")]


class Metadata(BaseModel):
    """What a page says about itself. Every member is always present; URLs are absolute."""

    model_config = ConfigDict(frozen=True)

    description: Annotated[str | None, Field(description="What the page is about.")]
    canonical_url: Annotated[str | None, Field(description="Its canonical URL.")]
    language: Annotated[str | None, Field(description="Its language, a BCP 47 tag.")]
    site_name: Annotated[str | None, Field(description="The name of the site.")]
    author: Annotated[str | None, Field(description="Who wrote it, with commas between.")]
    authors: Annotated[list[str], Field(description="Who wrote it, name by name.")]
    published_time: Annotated[str | None, Field(description="ISO 8601: a date, or date and time.")]
    modified_time: Annotated[str | None, Field(description="ISO 8601: a date, or date and time.")]
    image: Annotated[str | None, Field(description="Its preview image.")]
    video: Annotated[str | None, Field(description="Its preview video: a file or a player.")]
    favicon: Annotated[str | None, Field(description="The icon that the page declares.")]
    keywords: Annotated[list[str], Field(description="The page's own keywords.")]
    open_graph: Annotated[
        dict[str, list[str]], Field(description="Values of Open Graph properties, without `og:`.")
    ]
    twitter_card: Annotated[
        dict[str, str], Field(description="Properties of its Twitter card, without `twitter:`.")
    ]
    json_ld: Annotated[list[dict[str, Any]], Field(description="Its JSON-LD objects.")]
    feeds: Annotated[list[Feed], Field(description="The feeds that it links to.")]
    robots: Annotated[list[str], Field(description="Its directives for search engines.")]


class Redirect(BaseModel):
    """A followed redirect."""

    url: Annotated[str, Field(description="The URL that was requested.")]
    status: Annotated[int, Field(description="The HTTP status of its answer.")]


class TitleSource(StrEnum):
    """The element or property that a title is from."""

    TITLE = "title"
    OG_TITLE = "og:title"
    H1 = "h1"


class Page(BaseModel):
    """A page that was fetched and parsed."""

    model_config = ConfigDict(frozen=True)

    title: Annotated[str, Field(description="The page's title; empty if it has none.")]
    title_source: Annotated[
        TitleSource | None,
        Field(description="The title's source; null if the page has none."),
    ]
    html: Annotated[str, Field(description="The text of the whole page.")]
    metadata: Annotated[Metadata, Field(description="What the page says about itself.")]
    final_url: Annotated[str, Field(description="The URL that the redirects ended at.")]
    redirects: Annotated[
        list[Redirect], Field(description="The redirects that were followed, in order.")
    ]
    http_status: Annotated[int, Field(description="The HTTP status of the page itself.")]
    content_type: Annotated[str | None, Field(description="The page's Content-Type, as sent.")]
    charset: Annotated[str, Field(description="The page's encoding.")]
    bytes: Annotated[int, Field(description="The page's size, content encoding decoded.")]
    elapsed_ms: Annotated[int, Field(description="Milliseconds from look-up to parsed.")]
    fetched_at: Annotated[datetime, Field(description="When the page was fetched.")]


PIECE_CHARACTERS = 64 * 1024
"""Characters of HTML that are written in one turn of the event loop."""
_EMPTY_HTML = b'"html":""'


async def json_pieces(page: Page) -> list[bytes]:
    """Write a page as JSON, in pieces: the event loop turns between those of a long one.

    pydantic would write it in one go without releasing the interpreter's lock, which takes up to a
    quarter of a second: in a thread it would hold everything up as well.
    """
    if len(page.html) <= PIECE_CHARACTERS:
        return [page.model_dump_json().encode()]
    rest = page.model_copy(update={"html": ""}).model_dump_json().encode()
    # What stands before it is two strings, in which each quotation mark has a backslash.
    start = rest.index(_EMPTY_HTML) + len(_EMPTY_HTML) - 1
    return [rest[:start], *await _pieces_of_string(page.html), rest[start:]]


async def _pieces_of_string(text: str) -> list[bytes]:
    pieces: list[bytes] = []
    for start in range(0, len(text), PIECE_CHARACTERS):
        pieces.append(to_json(text[start : start + PIECE_CHARACTERS])[1:-1])
        await asyncio.sleep(0)
    return pieces
