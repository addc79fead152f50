"""Define the bodies that the HTTP routes answer with."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from parser_service.page import Page


def _without_default(schema: dict[str, Any]) -> None:
    """Describe a member that is absent unless it has a value: it is never null."""
    del schema["default"]


class FetchAnswer(Page):
    """Answer `GET /fetch`."""

    url: Annotated[str, Field(description="The requested URL, in its normal form.")]


class Problem(BaseModel):
    """Describe an error in the form of RFC 9457, served as `application/problem+json`."""

    type: Annotated[str, Field(description="Always about:blank; see `code`.")]
    title: Annotated[str, Field(description="The HTTP status in words.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="One sentence that explains the problem.")]
    code: Annotated[str, Field(description="A stable name of the reason.")]
    retryable: Annotated[
        bool | SkipJsonSchema[None],
        Field(
            description="Whether trying again later may help.",
            json_schema_extra=_without_default,
        ),
    ] = None
    page_status: Annotated[
        int | SkipJsonSchema[None],
        Field(
            description="The page's own HTTP status, if it is the reason.",
            json_schema_extra=_without_default,
        ),
    ] = None


class Health(BaseModel):
    """Answer `GET /health`."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    status: Literal["ok"] = "ok"
