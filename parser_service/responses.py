"""Bodies that this service answers over HTTP."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from parser_service.page import Page


class FetchAnswer(Page):
    """The answer of `GET /fetch`."""

    url: Annotated[str, Field(description="The URL that was asked for, in its normal form.")]


class Problem(BaseModel):
    """An error body as RFC 9457 has it, served as `application/problem+json`."""

    type: Annotated[str, Field(description="Always about:blank; `code` names the problem.")] = (
        "about:blank"
    )
    title: Annotated[str, Field(description="The HTTP status in words.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="One sentence that explains it.")]
    code: Annotated[str, Field(description="A stable name of the reason.")]
    retryable: Annotated[bool | None, Field(description="Whether trying again later may help.")] = (
        None
    )
    page_status: Annotated[
        int | None, Field(description="The page's own HTTP status, where that is the reason.")
    ] = None


class Health(BaseModel):
    """The answer of `GET /health`."""

    status: Literal["ok"] = "ok"
