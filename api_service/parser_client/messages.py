"""Write and read messages: this service's own, narrow copy of the wire (`docs/wire-contract.md`).

Golden examples in `tests/contract/` keep it equal to the parser's. Members that are not named
here are ignored: messages may grow. Values of a foreign parser are coerced until they can be
stored, or dropped. An unreadable result fails its request, which otherwise would never end.
"""

import json
import re
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
    field_validator,
)

from api_service.page.facts import PageFacts

log = structlog.get_logger()


def _storable(text: str) -> str:
    """Replace NUL and lone surrogates, which PostgreSQL's text type rejects."""
    if "\0" not in text:  # this check and encoding are much faster than the substitution
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _storable_json(value: Any) -> Any:
    """Make every string within a JSON value storable."""
    match value:
        case str():
            return _storable(value)
        case dict():
            return {_storable(str(key)): _storable_json(item) for key, item in value.items()}
        case list():
            return [_storable_json(item) for item in value]
        case _:
            return value


def _or_none(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Drop an invalid value: a wrong fact must not cost the page."""
    try:
        return validate(value)
    except (ValidationError, RecursionError):
        return None


PAGE = "page"
"""The kind of a job or result that names none."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
Text = Annotated[str, AfterValidator(_storable)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)] | None
Kind = Annotated[str, BeforeValidator(lambda kind: kind if isinstance(kind, str) else PAGE)]
HttpStatus = Annotated[int, Field(ge=0, le=999)] | None


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


class Announcement(_Message):
    """Report that a result is stored; the parser pushes it onto our reply list."""

    id: Annotated[int, Field(ge=0, le=2**63 - 1)]
    token: str
    bytes: int = 0


class FailureReason(_Message):
    """Say why a page could not be fetched."""

    code: Text
    message: Text
    retryable: bool = False
    page_status: Annotated[HttpStatus, WrapValidator(_or_none)] = None
    retry_after: Annotated[
        Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, WrapValidator(_or_none)
    ] = None


class PageResult(PageFacts):
    """Hold the page of a job that succeeded. A foreign parser sends title and HTML only."""

    status: Literal["success"]
    title: Text
    html: Text
    http_status: HttpStatus = None
    bytes: Count = None
    elapsed_ms: Count = None
    token: str | None = None
    kind: Kind = PAGE

    @field_validator(*PageFacts.model_fields, mode="wrap")
    @classmethod
    def _drop_invalid(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        return _or_none(_storable_json(value), validate)

    @property
    def facts(self) -> PageFacts:
        """Return the facts alone."""
        return PageFacts.model_construct(
            **{name: getattr(self, name) for name in PageFacts.model_fields}
        )


class PageResultWithoutHtml(PageResult):
    """Hold the JSON of a page's result whose HTML is appended to it."""

    html: Text = ""


class FailureResult(_Message):
    """Hold the reason of a job that failed. A foreign parser sends `error` only."""

    status: Literal["failure"]
    error: Text = "The page could not be fetched."
    reason: FailureReason | None = None
    token: str | None = None


Result = PageResult | FailureResult
RESULT: TypeAdapter[Result] = TypeAdapter(Annotated[Result, Field(discriminator="status")])


class FetchAnswer(PageFacts):
    """Hold the answer of the parser's `GET /fetch`."""

    url: str
    title: str
    html: str


class ParserProblem(_Message):
    """Hold the error body of the parser's `GET /fetch`."""

    detail: str
    code: str = "internal_error"
    retryable: bool = False
    page_status: int | None = None


def read_result(value: bytes) -> Result:
    """Read a stored result; return a failure if it is unreadable.

    It is a JSON object, or, as our jobs ask for: the length in bytes of an object without
    `html`, in decimal digits, a line feed, the object, and the HTML in UTF-8.
    """
    try:
        if value[:1].isdigit():
            return _read_with_html_appended(value)
        return _read_json(value)
    except (ValueError, RecursionError) as error:
        log.error("result not understood", error=str(error)[:200])
    return not_understood()


def _read_json(value: bytes) -> Result:
    try:
        return RESULT.validate_json(value)
    except ValidationError:
        # Only Python's own reader accepts lone surrogates, and the model replaces them.
        return RESULT.validate_python(json.loads(value))


def _read_with_html_appended(value: bytes) -> PageResult:
    length, _, rest = value.partition(b"\n")
    end = int(length)
    try:
        html = rest[end:].decode()
    except UnicodeDecodeError as error:
        raise ValueError("its HTML is not UTF-8") from error
    facts = PageResultWithoutHtml.model_validate_json(rest[:end])
    return facts.model_copy(update={"html": _storable(html)})


def not_understood() -> FailureResult:
    """Return the failure that replaces an unusable result."""
    sentence = "The parser's answer was not understood."
    reason = FailureReason(code="internal_error", message=sentence, retryable=True)
    return FailureResult(status="failure", error=sentence, reason=reason)
