"""Messages about jobs: results under their keys, and announcements (`docs/wire-contract.md`)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, StrictInt, StrictStr

from parser_service.page import Page, PageOptions

JobId = int | str
PAGE = "page"
"""The kind of a job that does not say one."""


def _page_unless_text(value: Any) -> Any:
    """Ignore a member of another type: it is a foreign producer's, who means something else."""
    return value if isinstance(value, str) else PAGE


class Job(PageOptions):
    """One message on the list `TASK_QUEUE`; members that are not named here are ignored.

    Attributes:
        id: names the key that the result is stored under; any JSON string or integer.
        token: echoed in the result. Only a job that has one is announced.
        reply: the list on which a finished job is announced.
        trace: ties the log lines of one request together.
        alone: whether no other job may be under way in the same parser.
        html_apart: whether the HTML of the result is to come behind its JSON, not in it.
        kind: what is to be done, see `jobs/runners.py`.
    """

    id: StrictInt | StrictStr
    url: str
    token: str | None = None
    reply: str | None = None
    trace: str | None = None
    alone: bool = False
    html_apart: bool = False
    kind: Annotated[str, BeforeValidator(_page_unless_text)] = PAGE


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


def encode_with_html_appended(result: SuccessResult) -> bytes:
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
