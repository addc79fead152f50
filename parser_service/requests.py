"""What this service is asked: the query of `GET /fetch` and the jobs on the Redis list."""

from typing import Annotated

from pydantic import BaseModel, Field, StrictInt, StrictStr

from parser_service.page import PageOptions

Url = Annotated[
    str,
    Field(
        description="An absolute http or https URL.",
        examples=["https://example.com/"],
        min_length=1,
        max_length=8192,
        json_schema_extra={"format": "uri"},
    ),
]


class FetchQuery(PageOptions):
    """The query of `GET /fetch`."""

    url: Url


class Job(PageOptions):
    """One message on the list `TASK_QUEUE`; members that are not named here are ignored.

    Attributes:
        id: names the key that the result is stored under; any JSON string or integer.
        token: echoed in the result. Only a job that has one is announced.
        reply: the list on which a finished job is announced.
        trace: ties the log lines of one request together.
        alone: whether no other job may be under way in the same parser.
        html_apart: whether the HTML of the result is to come behind its JSON, not in it.
    """

    id: StrictInt | StrictStr
    url: str
    token: str | None = None
    reply: str | None = None
    trace: str | None = None
    alone: bool = False
    html_apart: bool = False


class ParkedJob(BaseModel):
    """A job that waited for its host, as it was parked.

    Attributes:
        job: its message.
        url: where it goes on.
        redirects: the URLs that sent us there, with their statuses.
    """

    job: str
    url: str
    redirects: list[tuple[str, int]]
