"""This service's own, narrow copy of the wire (`docs/wire-contract.md`).

Golden examples in `tests/contract/` keep it equal to the parser's. Members that are not named
here are ignored: messages may grow. What a foreign parser sends is bent until it can be
stored, or left out; a result that is not understood at all is a failure, or its request
would hang.
"""

import json
import re
from datetime import datetime
from typing import Annotated, Any, Literal

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

from api_service.page.facts import Metadata, PageFacts, Redirect

log = structlog.get_logger()


def _storable(text: str) -> str:
    """PostgreSQL's text holds neither NUL nor half a surrogate pair."""
    if "\0" not in text:  # this and the next take a fraction of the time
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _storable_json(value: Any) -> Any:
    match value:
        case str():
            return _storable(value)
        case dict():
            return {_storable(str(key)): _storable_json(item) for key, item in value.items()}
        case list():
            return [_storable_json(item) for item in value]
        case _:
            return value


def _or_nothing(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Nothing rather than a wrong thing: a fact is not worth a page."""
    try:
        return validate(value)
    except (ValidationError, RecursionError):
        return None


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
Text = Annotated[str, AfterValidator(_storable)]
Fact = Annotated[Text | None, WrapValidator(_or_nothing)]
Count = Annotated[Annotated[int, Field(ge=0, le=2**31 - 1)] | None, WrapValidator(_or_nothing)]
Kind = Annotated[str, BeforeValidator(lambda kind: kind if isinstance(kind, str) else PAGE)]
HttpStatus = Annotated[Annotated[int, Field(ge=0, le=999)] | None, WrapValidator(_or_nothing)]


PAGE = "page"
"""The kind of a job or result that names none."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class Job(_Message):
    """What is pushed onto the parser's list."""

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


class Announcement(_Message):
    """What the parser pushes onto our reply list when a result is stored."""

    id: Annotated[int, Field(ge=0, le=2**63 - 1)]
    token: str
    bytes: int = 0


class FailureReason(_Message):
    """Why a page could not be had."""

    code: Text
    message: Text
    retryable: bool = False
    page_status: HttpStatus = None
    retry_after: Annotated[
        Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, WrapValidator(_or_nothing)
    ] = None


class PageResult(_Message):
    """The result of a job whose page was had. A foreign parser sends title and HTML only."""

    status: Literal["success"]
    title: Text
    title_source: Fact = None
    html: Text
    metadata: Annotated[
        Metadata | None, BeforeValidator(_storable_json), WrapValidator(_or_nothing)
    ] = None
    final_url: Fact = None
    redirects: Annotated[
        list[Redirect] | None, BeforeValidator(_storable_json), WrapValidator(_or_nothing)
    ] = None
    http_status: HttpStatus = None
    content_type: Fact = None
    charset: Fact = None
    bytes: Count = None
    elapsed_ms: Count = None
    fetched_at: Annotated[datetime | None, WrapValidator(_or_nothing)] = None
    token: str | None = None
    kind: Kind = PAGE


class ApartResult(PageResult):
    """A page's result as it is read when its HTML comes apart from it."""

    html: Text = ""


class FailureResult(_Message):
    """The result of a job whose page could not be had. A foreign parser sends `error` only."""

    status: Literal["failure"]
    error: Text = "The page could not be fetched."
    reason: FailureReason | None = None
    token: str | None = None


Result = PageResult | FailureResult
RESULT: TypeAdapter[Result] = TypeAdapter(Annotated[Result, Field(discriminator="status")])


class FetchAnswer(PageFacts):
    """The answer of the parser's `GET /fetch`."""

    url: str
    title: str
    html: str


class ParserProblem(_Message):
    """The parser's error body."""

    detail: str
    code: str = "internal_error"
    retryable: bool = False
    page_status: int | None = None


def read_result(value: bytes) -> Result:
    """The result in a message; one that is not understood is a failure.

    A JSON object, or, as pushes of ours ask for: the length of an object without `html`, in
    decimal digits, a line feed, the object, and the HTML in UTF-8.
    """
    try:
        if value[:1].isdigit():
            return _read_apart(value)
        return _read_whole(value)
    except (ValueError, RecursionError) as error:
        log.error("result not understood", error=str(error)[:200])
    return not_understood()


def _read_whole(value: bytes) -> Result:
    try:
        return RESULT.validate_json(value)
    except ValidationError:
        # Half surrogate pairs, which Python's own reader lets pass, are mended by the model.
        return RESULT.validate_python(json.loads(value))


def _read_apart(value: bytes) -> PageResult:
    length, _, rest = value.partition(b"\n")
    end = int(length)
    try:
        html = rest[end:].decode()
    except UnicodeDecodeError as error:
        raise ValueError("its HTML is not UTF-8") from error
    facts = ApartResult.model_validate_json(rest[:end])
    return facts.model_copy(update={"html": _storable(html)})


def not_understood() -> FailureResult:
    """What stands in for a result that cannot be used."""
    sentence = "The parser's answer was not understood."
    reason = FailureReason(code="internal_error", message=sentence, retryable=True)
    return FailureResult(status="failure", error=sentence, reason=reason)
