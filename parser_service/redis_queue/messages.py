"""Define the messages of the queue: jobs, results, announcements (`docs/wire-contract.md`)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, StrictInt, StrictStr, ValidationInfo

from parser_service.page import Page, PageOptions

JobId = int | str
"""Whatever a producer chose: ours are numbers of requests, others may be texts."""
PAGE_KIND = "page"
"""The kind of a job that names none."""


def _kind_or_page_if_foreign(value: Any, info: ValidationInfo) -> Any:
    """Ignore what a foreign producer means something else by: another type, or without a token."""
    return value if isinstance(value, str) and info.data.get("token") else PAGE_KIND


class Job(PageOptions):
    """Read one message of the list `TASK_QUEUE`; members that are not named here are ignored.

    Attributes:
        id: names the key of the result; any JSON string or integer.
        token: echoed in the result. Only the result of a job with a token is announced.
        reply: the list on which the result is announced.
        trace: ties the log lines of one request together.
        alone: whether the parser may run no other job at the same time.
        html_apart: whether the HTML of the result follows its JSON instead of being in it.
        kind: names what to do, see `jobs/runners.py`; echoed in the result.
            A job without a token is a page.
    """

    id: StrictInt | StrictStr
    url: str
    token: str | None = None
    reply: str | None = None
    trace: str | None = None
    alone: bool = False
    html_apart: bool = False
    kind: Annotated[str, BeforeValidator(_kind_or_page_if_foreign)] = PAGE_KIND


class ErrorFacts(BaseModel):
    """Say why a job failed."""

    code: Annotated[str, Field(description="A stable name of the reason.")]
    message: Annotated[str, Field(description="One sentence that explains the reason.")]
    retryable: Annotated[bool, Field(description="Whether trying again later may help.")]
    page_status: Annotated[
        int | None, Field(description="The page's own HTTP status, if it is the reason.")
    ] = None
    retry_after: Annotated[
        float | None, Field(description="Seconds that the site asked us to wait.")
    ] = None


class SuccessResult(Page):
    """Hold the page of a job that succeeded; stored under the job's key."""

    status: Literal["success"] = "success"
    token: str | None = None
    kind: str = PAGE_KIND


def encode_with_html_apart(result: SuccessResult) -> bytes:
    """Write a result with its HTML after its JSON: length of the JSON, line feed, JSON, HTML.

    The HTML is not escaped, which saves each side a pass over the longest part.
    """
    facts = result.model_dump_json(exclude={"html"}).encode()
    return b"%d\n%s%s" % (len(facts), facts, result.html.encode())


class FailureResult(BaseModel):
    """Hold the reason of a job that failed; stored under the job's key.

    `error` is the only member of the first version of this message; `reason` has all the facts.
    """

    status: Literal["failure"] = "failure"
    error: str
    reason: ErrorFacts
    token: str | None = None
    kind: str = PAGE_KIND


class ResultAnnouncement(BaseModel):
    """Announce a stored result on the reply list of its job."""

    id: JobId
    token: str
    bytes: int
