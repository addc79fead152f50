"""What this service answers: pages, problems, and the result messages of jobs."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

JobId = int | str


class Feed(BaseModel):
    """A feed that a page points to."""

    url: Annotated[str, Field(description="Its absolute URL.")]
    type: Annotated[str, Field(description="Its MIME type.")]
    title: Annotated[str | None, Field(description="What the page calls it.")]


class Metadata(BaseModel):
    """What a page says of itself. Every member is always there; URLs are absolute."""

    model_config = ConfigDict(frozen=True)

    description: Annotated[str | None, Field(description="What the page is about.")]
    canonical_url: Annotated[str | None, Field(description="The address it asks to be known by.")]
    language: Annotated[str | None, Field(description="Its declared language, as BCP 47 has it.")]
    site_name: Annotated[str | None, Field(description="What the site calls itself.")]
    author: Annotated[str | None, Field(description="Who wrote it.")]
    published_time: Annotated[str | None, Field(description="ISO 8601: a date, or date and time.")]
    modified_time: Annotated[str | None, Field(description="ISO 8601: a date, or date and time.")]
    image: Annotated[str | None, Field(description="The picture that stands for the page.")]
    favicon: Annotated[str | None, Field(description="The icon that the page declares.")]
    keywords: Annotated[list[str], Field(description="The page's own keywords.")]
    open_graph: Annotated[
        dict[str, list[str]], Field(description="Values of Open Graph properties, without `og:`.")
    ]
    twitter_card: Annotated[
        dict[str, str], Field(description="Properties of its Twitter card, without `twitter:`.")
    ]
    json_ld: Annotated[list[dict[str, Any]], Field(description="Its JSON-LD objects.")]
    feeds: Annotated[list[Feed], Field(description="The feeds it points to.")]
    robots: Annotated[list[str], Field(description="Its directives for search engines.")]


class Redirect(BaseModel):
    """A URL that sent us on."""

    url: Annotated[str, Field(description="What was asked for.")]
    status: Annotated[int, Field(description="The status that it answered with.")]


TitleSource = Literal["title", "og:title", "h1"]


class Page(BaseModel):
    """A page that was fetched and parsed."""

    model_config = ConfigDict(frozen=True)

    title: Annotated[str, Field(description="The page's title; empty where it has none.")]
    title_source: Annotated[
        TitleSource | None,
        Field(description="What the title is from; null where the page has none."),
    ]
    html: Annotated[str, Field(description="The text of the whole page.")]
    metadata: Annotated[Metadata, Field(description="What the page says of itself.")]
    final_url: Annotated[str, Field(description="Where the redirects ended.")]
    redirects: Annotated[list[Redirect], Field(description="The redirects on the way, in order.")]
    http_status: Annotated[int, Field(description="The HTTP status of the page itself.")]
    content_type: Annotated[str | None, Field(description="The page's Content-Type, as sent.")]
    charset: Annotated[str, Field(description="The encoding that the page was in.")]
    bytes: Annotated[int, Field(description="The page's size, content encoding undone.")]
    elapsed_ms: Annotated[int, Field(description="Milliseconds from look-up to parsed.")]
    fetched_at: Annotated[datetime, Field(description="When the page had been fetched.")]


class FetchAnswer(Page):
    """The answer of `GET /fetch`."""

    url: Annotated[str, Field(description="The URL that was asked for, in its normal form.")]


class ErrorFacts(BaseModel):
    """Why a page could not be had."""

    code: Annotated[str, Field(description="A stable name of the reason.")]
    message: Annotated[str, Field(description="One sentence that explains it.")]
    retryable: Annotated[bool, Field(description="Whether trying again later may help.")]
    page_status: Annotated[
        int | None, Field(description="The page's own HTTP status, where that is the reason.")
    ] = None
    retry_after: Annotated[
        float | None, Field(description="Seconds that the site asked us to stay away.")
    ] = None


class SuccessResult(Page):
    """What is stored under a finished job's key."""

    status: Literal["success"] = "success"
    token: str | None = None


def html_apart(result: SuccessResult) -> bytes:
    """A result whose HTML is not escaped into its JSON: length of the JSON, line feed, both.

    That saves each side a pass over the longest part.
    """
    facts = result.model_dump_json(exclude={"html"}).encode()
    return b"%d\n%s%s" % (len(facts), facts, result.html.encode())


class FailureResult(BaseModel):
    """What is stored under the key of a job whose page could not be had.

    `error` is the sentence of the first version of this message; `reason` has the whole.
    """

    status: Literal["failure"] = "failure"
    error: str
    reason: ErrorFacts
    token: str | None = None


class Announcement(BaseModel):
    """One message on a job's reply list: its result is stored."""

    id: JobId
    token: str
    bytes: int


class Problem(BaseModel):
    """An error body as RFC 9457 has it, served as `application/problem+json`."""

    type: Annotated[str, Field(description="Always about:blank; `code` names the problem.")] = (
        "about:blank"
    )
    title: Annotated[str, Field(description="The HTTP status in words.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="One sentence that explains it.")]
    code: Annotated[str, Field(description="A stable name of the reason.")]
    retryable: Annotated[bool | None, Field(description="Whether trying again later may help.")] = (
        None
    )
    page_status: Annotated[
        int | None, Field(description="The page's own HTTP status, where that is the reason.")
    ] = None


class Health(BaseModel):
    """The answer of `GET /health`."""

    status: Literal["ok"] = "ok"
