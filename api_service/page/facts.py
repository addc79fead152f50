"""The facts known of a page, and the reason if there is no page."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Facts(BaseModel):
    """Base of all facts: frozen, and readable from any object with the same attributes."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class ErrorFacts(Facts):
    """Why a page could not be had."""

    code: Annotated[str, Field(description="A stable name of the reason.", examples=["timeout"])]
    message: Annotated[str, Field(description="One sentence that explains it.")]
    retryable: Annotated[bool, Field(description="Whether asking again later may help.")] = False
    page_status: Annotated[
        int | None, Field(description="The page's own HTTP status, where that is the reason.")
    ] = None


class Feed(Facts):
    """A feed that a page points to."""

    url: Annotated[str, Field(description="Its absolute URL.")]
    type: Annotated[str, Field(description="Its MIME type.")]
    title: Annotated[str | None, Field(description="What the page calls it.")] = None


class Metadata(Facts):
    """What a page says of itself. Every member is always there; URLs are absolute."""

    description: Annotated[str | None, Field(description="What the page is about.")] = None
    canonical_url: Annotated[
        str | None, Field(description="The address it asks to be known by.")
    ] = None
    language: Annotated[
        str | None, Field(description="Its declared language, as BCP 47 has it.")
    ] = None
    site_name: Annotated[str | None, Field(description="What the site calls itself.")] = None
    author: Annotated[str | None, Field(description="Who wrote it.")] = None
    published_time: Annotated[
        str | None, Field(description="ISO 8601: a date, or a date and time.")
    ] = None
    modified_time: Annotated[
        str | None, Field(description="ISO 8601: a date, or a date and time.")
    ] = None
    image: Annotated[str | None, Field(description="The picture that stands for it.")] = None
    favicon: Annotated[str | None, Field(description="The icon that it declares.")] = None
    keywords: Annotated[list[str], Field(description="Its own keywords.")] = []
    open_graph: Annotated[
        dict[str, list[str]], Field(description="Values of Open Graph properties, without `og:`.")
    ] = {}
    twitter_card: Annotated[
        dict[str, str], Field(description="Properties of its Twitter card, without `twitter:`.")
    ] = {}
    json_ld: Annotated[list[dict[str, Any]], Field(description="Its JSON-LD objects.")] = []
    feeds: Annotated[list[Feed], Field(description="The feeds that it points to.")] = []
    robots: Annotated[list[str], Field(description="Its directives for search engines.")] = []


class Redirect(Facts):
    """A URL that sent us on."""

    url: Annotated[str, Field(description="What was asked for.")]
    status: Annotated[int, Field(description="The status that it answered with.")]


class PageFacts(Facts):
    """What is known of a page beside its title and text; null until it was fetched."""

    title_source: Annotated[
        str | None, Field(description="What the title is from: `title`, `og:title` or `h1`.")
    ] = None
    metadata: Annotated[Metadata | None, Field(description="What the page says of itself.")] = None
    final_url: Annotated[str | None, Field(description="Where the redirects ended.")] = None
    redirects: Annotated[
        list[Redirect] | None, Field(description="The redirects on the way, in order.")
    ] = None
    http_status: Annotated[int | None, Field(description="The page's own HTTP status.")] = None
    content_type: Annotated[str | None, Field(description="Its Content-Type, as sent.")] = None
    charset: Annotated[
        str | None, Field(description="The encoding it was in, as the Encoding Standard names it.")
    ] = None
    bytes: Annotated[
        int | None, Field(description="The page's size, its content encoding undone.")
    ] = None
    elapsed_ms: Annotated[int | None, Field(description="Milliseconds from look-up to parsed.")] = (
        None
    )
    fetched_at: Annotated[datetime | None, Field(description="When it had been fetched.")] = None
