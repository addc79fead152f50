"""What clients get, and the error body."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api_service.status_enum import StatusEnum

RequestId = Annotated[int, Field(description="Names the request.", examples=[42])]
Status = Annotated[
    StatusEnum,
    Field(
        description=(
            "`pending`: accepted; `processing`: in line or being fetched; "
            "`success` and `failure`: ended, for good."
        )
    ),
]


class Answer(BaseModel):
    """What all answers share."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class AcceptedAnswer(Answer):
    """The answer of `POST /parse_async`."""

    request_id: RequestId
    status: Status


class StatusAnswer(Answer):
    """The answer of `GET /status/{request_id}`."""

    request_id: RequestId
    status: Status
    attempts: Annotated[int, Field(description="How often the page was tried, well or not.")]
    created_at: Annotated[datetime, Field(description="When the request was accepted.")]
    updated_at: Annotated[datetime, Field(description="When its status changed last.")]


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
    error: Annotated[ErrorFacts | None, Field(description="The reason of a `failure`.")]


class ParseSyncAnswer(PageFacts):
    """The answer of `GET /parse_sync`."""

    url: Annotated[str, Field(description="The URL that was asked for, in its normal form.")]
    title: Annotated[str, Field(description="The page's title; empty where it has none.")]
    html: Annotated[str, Field(description="The text of the whole page.")]


class Problem(BaseModel):
    """An error body as RFC 9457 has it, served as `application/problem+json`."""

    type: Annotated[str, Field(description="Always about:blank; `code` names the problem.")] = (
        "about:blank"
    )
    title: Annotated[str, Field(description="The HTTP status in words.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="One sentence that explains it.")]
    code: Annotated[str, Field(description="A stable name of the problem.")]
    retryable: Annotated[
        bool | None, Field(description="Where a page cannot be had: whether asking again may help.")
    ] = None
    page_status: Annotated[
        int | None, Field(description="The page's own HTTP status, where that is the reason.")
    ] = None


class Health(BaseModel):
    """The answer of `GET /health`."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """The answer of `GET /ready`."""

    status: Annotated[Literal["ready", "not ready"], Field(description="The sum of the checks.")]
    checks: Annotated[
        dict[str, str],
        Field(
            description="`ok` or what is missing, for each part that work needs.",
            examples=[{"database": "ok", "redis": "ok", "parser": "ok", "worker": "ok"}],
        ),
    ]
