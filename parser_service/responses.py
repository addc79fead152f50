"""What this service answers: pages, problems, and the result messages of jobs."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

JobId = int | str


class Page(BaseModel):
    """A page that was fetched and parsed."""

    model_config = ConfigDict(frozen=True)

    title: Annotated[str, Field(description="The page's title; empty where it has none.")]
    html: Annotated[str, Field(description="The text of the whole page.")]
    final_url: Annotated[str, Field(description="Where the redirects ended.")]
    http_status: Annotated[int, Field(description="The HTTP status of the page itself.")]
    content_type: Annotated[str | None, Field(description="The page's Content-Type, as sent.")]
    charset: Annotated[str, Field(description="The encoding that the page was in.")]
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


class SuccessResult(Page):
    """What is stored under a finished job's key."""

    status: Literal["success"] = "success"
    token: str | None = None


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
