"""Write and read messages: this service's own, narrow copy of the wire (`docs/wire-contract.md`).

Golden examples in `tests/contract/` keep it equal to the parser's. Members that are not named
here are ignored: messages may grow. Values of a foreign parser are coerced until they can be
stored, or dropped. An unreadable result fails its request, which otherwise would never end.
"""

import contextlib
from typing import Annotated, Any, Literal, TypeVar

import structlog
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from api_service.page.foreign import (
    LenientPageFacts,
    make_storable_text,
    parse_json_leniently,
    require_few_values,
    valid_or_none,
)

log = structlog.get_logger()


def _valid_or_zero(value: Any, validate: ValidatorFunctionWrapHandler) -> int:
    """Read a size; what is none counts as nothing."""
    return valid_or_none(value, validate) or 0


PAGE_KIND = "page"
"""The kind of a job or result that names none."""

StorableText = Annotated[str, AfterValidator(make_storable_text)]
OptionalCount = Annotated[int, Field(ge=0, le=2**31 - 1)] | None
"""A number that fits its column, or none; other values are refused."""
KindOrPage = Annotated[
    str, BeforeValidator(lambda kind: kind if isinstance(kind, str) else PAGE_KIND)
]
OptionalHttpStatus = Annotated[int, Field(ge=0, le=999)] | None


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class Job(_Message):
    """Ask a parser for one page; pushed onto its list."""

    id: int
    url: str
    token: str
    reply: str
    trace: str | None = None
    respect_robots: bool | None = None
    title_fallback: bool | None = None
    alone: bool | None = None
    html_apart: bool | None = None
    kind: str | None = None


class ResultAnnouncement(_Message):
    """Report that a result is stored; the parser pushes it onto our reply list."""

    id: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
    token: StorableText
    bytes: Annotated[int, Field(ge=0, le=2**40), WrapValidator(_valid_or_zero)] = 0


class FailureReason(_Message):
    """Say why a page could not be fetched."""

    code: StorableText
    message: StorableText
    retryable: bool = False
    page_status: Annotated[OptionalHttpStatus, WrapValidator(valid_or_none)] = None
    retry_after: Annotated[
        Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, WrapValidator(valid_or_none)
    ] = None


class SuccessResult(LenientPageFacts):
    """Hold the page of a job that succeeded. A foreign parser sends title and HTML only."""

    status: Literal["success"]
    title: StorableText
    html: StorableText
    http_status: OptionalHttpStatus = None
    bytes: OptionalCount = None
    elapsed_ms: OptionalCount = None
    token: StorableText | None = None
    kind: KindOrPage = PAGE_KIND


class SuccessResultWithoutHtml(SuccessResult):
    """Hold the JSON of a page's result whose HTML is appended to it."""

    html: StorableText = ""


class FailureResult(_Message):
    """Hold the reason of a job that failed. A foreign parser sends `error` only."""

    status: Literal["failure"]
    error: StorableText = "The page could not be fetched."
    reason: FailureReason | None = None
    token: StorableText | None = None


Result = SuccessResult | FailureResult
RESULT_READER: TypeAdapter[Result] = TypeAdapter(Annotated[Result, Field(discriminator="status")])
_RESULT_WITHOUT_HTML_READER = TypeAdapter(SuccessResultWithoutHtml)
Model = TypeVar("Model")


class FetchAnswer(LenientPageFacts):
    """Hold the answer of the parser's `GET /fetch`."""

    url: str
    title: str
    html: str


_FETCH_ANSWER_READER = TypeAdapter(FetchAnswer)


class ParserProblem(_Message):
    """Hold the error body of the parser's `GET /fetch`."""

    detail: StorableText
    code: StorableText = "internal_error"
    retryable: bool = False
    page_status: Annotated[OptionalHttpStatus, WrapValidator(valid_or_none)] = None


_PROBLEM_READER = TypeAdapter(ParserProblem)


class UnreadableResult(FailureResult):
    """Take the place of what is stored for a request and is no result; it has no token."""


def read_announcement(raw: bytes) -> ResultAnnouncement:
    """Read an announcement, and never raise.

    One that names no request of ours gets the id 0, which none has, and keeps its size: the parser
    has counted those bytes as well, and stops when they are too many.
    """
    try:
        return ResultAnnouncement.model_validate_json(raw)
    except ValidationError:
        log.error("announcement set aside", size=len(raw))
    size = 0
    with contextlib.suppress(ValueError):
        found = parse_json_leniently(raw)
        size = found.get("bytes", 0) if isinstance(found, dict) else 0
    return ResultAnnouncement.model_validate({"id": 0, "token": "", "bytes": size})


def read_result(value: bytes, *, request_id: int | None = None) -> Result:
    """Read a stored result; return an `UnreadableResult` if it is none, and never raise.

    It is a JSON object, or, as our jobs ask for: the length in bytes of an object without
    `html`, in decimal digits, a line feed, the object, and the HTML in UTF-8.
    """
    try:
        if value[:1].isdigit():
            return _read_with_html_appended(value)
        return _validate_json_leniently(RESULT_READER, value)
    except Exception as error:  # noqa: BLE001 - a stranger's bytes: whatever it is, go on
        return log_and_make_unreadable_result(
            f"{type(error).__name__}: {error}", request_id=request_id
        )


def _validate_json_leniently(reader: TypeAdapter[Model], value: bytes) -> Model:
    require_few_values(value)
    try:
        return reader.validate_json(value)
    except ValidationError:
        # Python's own reader accepts lone surrogates, and is told what to do with depth.
        return reader.validate_python(parse_json_leniently(value))


def _read_with_html_appended(value: bytes) -> SuccessResult:
    length, _, rest = value.partition(b"\n")
    end = int(length)
    try:
        html = rest[end:].decode()
    except UnicodeDecodeError as error:
        raise ValueError("its HTML is not UTF-8") from error
    facts = _validate_json_leniently(_RESULT_WITHOUT_HTML_READER, rest[:end])
    return facts.model_copy(update={"html": make_storable_text(html)})


def read_fetch_answer(body: bytes) -> FetchAnswer:
    """Read the answer of the parser's `GET /fetch`.

    Raises:
        ValueError: it is something else.
    """
    return _validate_json_leniently(_FETCH_ANSWER_READER, body)


def read_problem(body: bytes) -> ParserProblem:
    """Read the error body of the parser's `GET /fetch`.

    Raises:
        ValueError: it is something else.
    """
    return _validate_json_leniently(_PROBLEM_READER, body)


def log_and_make_unreadable_result(why: str, *, request_id: int | None = None) -> UnreadableResult:
    """Log why a result is unusable, and return the failure that replaces it."""
    log.error("result not understood", request_id=request_id, error=why[:200])
    sentence = "The parser's answer was not understood."
    reason = FailureReason(code="internal_error", message=sentence, retryable=True)
    return UnreadableResult(status="failure", error=sentence, reason=reason)


def log_and_make_too_large_result(size: int, *, request_id: int) -> UnreadableResult:
    """Log that a result was too large to be read, and return the failure that replaces it.

    It is final: another attempt would most likely store as much.
    """
    log.error("result too large", request_id=request_id, size=size)
    sentence = "The parser's answer is too large."
    reason = FailureReason(code="too_large", message=sentence, retryable=False)
    return UnreadableResult(status="failure", error=sentence, reason=reason)
