"""What this service is asked: the query of `GET /fetch` and the jobs on the Redis list."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

Url = Annotated[
    str,
    Field(
        description="An absolute http or https URL.",
        examples=["https://example.com/"],
        min_length=1,
        max_length=8192,
    ),
]


class FetchQuery(BaseModel):
    """The query of `GET /fetch`."""

    url: Url


class Job(BaseModel):
    """One message on the list `TASK_QUEUE`; members that are not named here are ignored.

    Attributes:
        id: names the key that the result is stored under; any JSON string or integer.
        token: echoed in the result. Only a job that has one is announced.
        reply: the list on which a finished job is announced.
        trace: ties the log lines of one request together.
    """

    model_config = ConfigDict(frozen=True)

    id: StrictInt | StrictStr
    url: str
    token: str | None = None
    reply: str | None = None
    trace: str | None = None
