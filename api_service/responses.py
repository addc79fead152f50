"""Bodies that clients receive."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api_service.page.facts import ErrorFacts, PageFacts
from api_service.status_enum import StatusEnum

RequestId = Annotated[int, Field(description="Id of the request.", examples=[42])]
Status = Annotated[
    StatusEnum,
    Field(
        description=(
            "`pending`: accepted; `processing`: queued or being fetched; "
            "`success` and `failure`: ended, final."
        )
    ),
]


class AnswerWithoutPage(BaseModel):
    """Base of the answers that hold no page: frozen, and readable from a row."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class AcceptedAnswer(AnswerWithoutPage):
    """The answer of `POST /parse_async`."""

    request_id: RequestId
    status: Status


class StatusAnswer(AnswerWithoutPage):
    """The answer of `GET /status/{request_id}`."""

    request_id: RequestId
    status: Status
    attempts: Annotated[int, Field(description="Ended attempts, successful or not.")]
    created_at: Annotated[datetime, Field(description="When the request was accepted.")]
    updated_at: Annotated[datetime, Field(description="When the status last changed.")]


class ResultAnswer(PageFacts):
    """The answer of `GET /result/{request_id}`, for a request in any status."""

    request_id: RequestId
    status: Status
    title: Annotated[
        str | None,
        Field(description="The page's title, empty if it has none; null until `success`."),
    ]
    html: Annotated[
        str | None, Field(description="The text of the whole page; null until `success`.")
    ]
    error: Annotated[ErrorFacts | None, Field(description="Why the request is a `failure`.")]


class ParseSyncAnswer(PageFacts):
    """The answer of `GET /parse_sync`."""

    url: Annotated[str, Field(description="The requested URL, in its normal form.")]
    title: Annotated[str, Field(description="The page's title; empty if it has none.")]
    html: Annotated[str, Field(description="The text of the whole page.")]
