"""Describe a page by its facts, or by the reason why there is no page."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _in_utc_or_none(time: datetime | None) -> datetime | None:
    """Convert a time to UTC, without an offset read as UTC; None if its year leaves 1 to 9999."""
    if time is None:
        return None
    try:
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError:
        return None


class Facts(BaseModel):
    """Base of all facts: frozen, and readable from any object with the same attributes.

    An answer has every member, null or not, so the schema requires them all.
    """

    model_config = ConfigDict(
        frozen=True, from_attributes=True, json_schema_serialization_defaults_required=True
    )


class ErrorFacts(Facts):
    """Explain why a page could not be fetched or parsed."""

    code: Annotated[str, Field(description="A stable name of the reason.", examples=["timeout"])]
    message: Annotated[str, Field(description="One sentence that explains it.")]
    retryable: Annotated[bool, Field(description="Whether trying again later may help.")] = False
    page_status: Annotated[
        int | None, Field(description="The page's own HTTP status, if that is the reason.")
    ] = None


class Feed(Facts):
    """Name a feed that the page links to."""

    url: Annotated[str, Field(description="Its absolute URL.")]
    type: Annotated[str, Field(description="Its MIME type.")]
    title: Annotated[str | None, Field(description="Its title on the page.")] = None


class Metadata(Facts):
    """Hold what a page says about itself. Every member is always there; URLs are absolute."""

    description: Annotated[str | None, Field(description="A summary of the page.")] = None
    canonical_url: Annotated[str | None, Field(description="Canonical URL.")] = None
    language: Annotated[str | None, Field(description="Declared language, a BCP 47 tag.")] = None
    site_name: Annotated[str | None, Field(description="Name of the site.")] = None
    author: Annotated[
        str | None, Field(description="Names of the authors, with commas between them.")
    ] = None
    authors: Annotated[
        list[str], Field(fail_fast=True, description="Names of the authors, in order.")
    ] = []
    published_time: Annotated[
        str | None, Field(description="ISO 8601: a date, or a date and time.")
    ] = None
    modified_time: Annotated[
        str | None, Field(description="ISO 8601: a date, or a date and time.")
    ] = None
    image: Annotated[str | None, Field(description="Preview image.")] = None
    video: Annotated[str | None, Field(description="Preview video: a file or a player.")] = None
    favicon: Annotated[str | None, Field(description="Declared icon.")] = None
    keywords: Annotated[list[str], Field(fail_fast=True, description="Declared keywords.")] = []
    open_graph: Annotated[
        dict[str, list[str]], Field(description="Values of Open Graph properties, without `og:`.")
    ] = {}
    twitter_card: Annotated[
        dict[str, str], Field(description="Properties of its Twitter card, without `twitter:`.")
    ] = {}
    json_ld: Annotated[
        list[dict[str, Any]], Field(fail_fast=True, description="Its JSON-LD objects.")
    ] = []
    feeds: Annotated[
        list[Feed], Field(fail_fast=True, description="Feeds that the page links to.")
    ] = []
    robots: Annotated[
        list[str], Field(fail_fast=True, description="Directives for search engines.")
    ] = []


class Redirect(Facts):
    """Describe one followed redirect."""

    url: Annotated[str, Field(description="The URL that redirected.")]
    status: Annotated[int, Field(description="Its HTTP status.")]


class PageFacts(Facts):
    """Hold the facts about a page besides title and HTML; null until it was fetched."""

    title_source: Annotated[
        str | None,
        Field(
            description="Source of the title: `title`, `og:title` or `h1`.",
            examples=["title", "og:title", "h1"],
        ),
    ] = None
    metadata: Annotated[Metadata | None, Field(description="What the page says about itself.")] = (
        None
    )
    final_url: Annotated[str | None, Field(description="URL after all redirects.")] = None
    redirects: Annotated[
        Annotated[list[Redirect], Field(fail_fast=True)] | None,
        Field(description="Followed redirects, in order."),
    ] = None
    http_status: Annotated[int | None, Field(description="The page's own HTTP status.")] = None
    content_type: Annotated[str | None, Field(description="Content-Type header, as sent.")] = None
    charset: Annotated[
        str | None, Field(description="Character encoding, by its name in the Encoding Standard.")
    ] = None
    bytes: Annotated[int | None, Field(description="Size in bytes, after decompression.")] = None
    elapsed_ms: Annotated[
        int | None, Field(description="Milliseconds from DNS look-up to parsed.")
    ] = None
    fetched_at: Annotated[
        datetime | None,
        AfterValidator(_in_utc_or_none),
        Field(description="When the page was fetched."),
    ] = None
