"""HTTP for parse requests."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

from api_service.caller import Scope
from api_service.dependencies import CurrentCaller, RootPath, TraceId, provided
from api_service.edge.ambiguity import refuse_repetitions
from api_service.edge.exceptions import (
    AnswerMemoryFullError,
    BadRequestError,
    BodyTooLargeError,
    EncodedBodyError,
    InvalidRequestError,
    RequestTimeoutError,
)
from api_service.edge.held_response import HeldResponse
from api_service.edge.problems import DeclaredAnswers, problems
from api_service.exceptions import (
    DatabaseUnavailableError,
    NotFoundError,
    QueueFullError,
    RateLimitedError,
)
from api_service.idempotency.dependencies import OptionalIdempotencyKey
from api_service.idempotency.exceptions import (
    IdempotencyConflictError,
    IdempotencyMismatchError,
)
from api_service.parser_client.exceptions import (
    InvalidUrlError,
    PageError,
    ParserBusyError,
    ParserUnavailableError,
)
from api_service.requests import ParseAsyncBody, ParseSyncQuery, WaitQuery
from api_service.responses import (
    AcceptedAnswer,
    ParseSyncAnswer,
    ResultAnswer,
    StatusAnswer,
)
from api_service.service import ParseRequestService

FIRST_POLL_SECONDS = 1
"""Seconds before the first poll of a client that does not use `wait`."""

CALL_SCOPES: Mapping[str, Scope] = {"GET /parse_sync": Scope.WRITE}
"""It reads nothing that is here: it has the service fetch."""

router = APIRouter(dependencies=[Depends(refuse_repetitions)])

Service = Annotated[ParseRequestService, Depends(provided(ParseRequestService))]


def _require_plain_digits(value: object) -> object:
    """Refuse other forms of numbers, such as 1_0: an id has one URL."""
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]+", value):
        raise PydanticKnownError("int_parsing")
    return value


RequestIdPath = Annotated[
    int,
    BeforeValidator(_require_plain_digits),
    Path(
        ge=1, le=2**63 - 1, description="The id that `POST /parse_async` answered.", examples=[42]
    ),
]


def _link(operation_id: str, description: str) -> dict[str, object]:
    return {
        "operationId": operation_id,
        "parameters": {"request_id": "$response.body#/request_id"},
        "description": description,
    }


ACCEPTED_RESPONSE_DOCS: DeclaredAnswers = {
    202: {
        "links": {
            "status": _link("get_status", "The status of the request; `wait` for its end."),
            "result": _link("get_result", "The result of the request; `wait` for its end."),
        },
        "headers": {
            "Location": {
                "description": "Path of the status.",
                "schema": {"type": "string"},
            },
            "Retry-After": {"$ref": "#/components/headers/Retry-After"},
        },
    }
}


@router.post(
    "/parse_async",
    status_code=HTTPStatus.ACCEPTED,
    summary="Fetch and parse a page later",
    response_description="The request is stored.",
    tags=["Pages"],
    responses=ACCEPTED_RESPONSE_DOCS
    | problems(
        BadRequestError,
        RequestTimeoutError,
        IdempotencyConflictError,
        BodyTooLargeError,
        EncodedBodyError,
        InvalidRequestError,
        IdempotencyMismatchError,
        RateLimitedError,
        QueueFullError,
        DatabaseUnavailableError,
    ),
)
async def parse_async(
    body: ParseAsyncBody,
    *,
    service: Service,
    caller: CurrentCaller,
    trace_id: TraceId,
    key: OptionalIdempotencyKey,
    root_path: RootPath,
    response: Response,
) -> AcceptedAnswer:
    """Accept a URL and answer at once.

    An accepted request is stored, and ends as `success` or `failure`.
    """
    accepted = await service.submit(caller, body.url, options=body, trace_id=trace_id, key=key)
    response.headers["Location"] = f"{root_path}/status/{accepted.request_id}"
    response.headers["Retry-After"] = str(FIRST_POLL_SECONDS)
    return accepted


@router.get(
    "/status/{request_id}",
    summary="Status of a request",
    response_description="The status as it is now.",
    tags=["Pages"],
    responses=problems(NotFoundError, InvalidRequestError, DatabaseUnavailableError),
)
async def get_status(
    request_id: RequestIdPath,
    query: Annotated[WaitQuery, Query()],
    service: Service,
    caller: CurrentCaller,
) -> StatusAnswer:
    """Answer at once, or with `wait` as soon as the request ends."""
    return await service.read_status(caller, request_id, wait=query.wait)


@router.get(
    "/result/{request_id}",
    response_model=ResultAnswer,
    summary="Result of a request",
    response_description="The request as it is now; ended if `status` is `success` or `failure`.",
    tags=["Pages"],
    responses=problems(
        NotFoundError, InvalidRequestError, DatabaseUnavailableError, AnswerMemoryFullError
    ),
)
async def get_result(
    request_id: RequestIdPath,
    query: Annotated[WaitQuery, Query()],
    service: Service,
    caller: CurrentCaller,
) -> Response:
    """Answer with the page of a `success`, the reason of a `failure`, or neither yet."""
    return HeldResponse(await service.read_result(caller, request_id, wait=query.wait))


@router.get(
    "/parse_sync",
    response_model=ParseSyncAnswer,
    summary="Fetch and parse a page now",
    response_description="The page.",
    tags=["Pages"],
    responses=problems(
        InvalidRequestError,
        InvalidUrlError,
        PageError,
        ParserUnavailableError,
        ParserBusyError,
        AnswerMemoryFullError,
    ),
)
async def parse_sync(
    query: Annotated[ParseSyncQuery, Query()],
    service: Service,
    caller: CurrentCaller,
    trace_id: TraceId,
) -> Response:
    """Fetch a page while the client waits. Nothing is stored."""
    answer = await service.parse_now(caller, query.url, options=query, trace_id=trace_id)
    return HeldResponse(answer)
