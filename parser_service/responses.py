"""Define the bodies that the HTTP routes answer with."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from parser_service.page import Page


class FetchAnswer(Page):
    """Answer `GET /fetch`."""

    url: Annotated[str, Field(description="The requested URL, in its normal form.")]


class Problem(BaseModel):
    """Describe an error in the form of RFC 9457, served as `application/problem+json`."""

    type: Annotated[str, Field(description="Always about:blank; see `code`.")] = "about:blank"
    title: Annotated[str, Field(description="The HTTP status in words.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="One sentence that explains the problem.")]
    code: Annotated[str, Field(description="A stable name of the reason.")]
    retryable: Annotated[bool | None, Field(description="Whether trying again later may help.")] = (
        None
    )
    page_status: Annotated[
        int | None, Field(description="The page's own HTTP status, if it is the reason.")
    ] = None


class Health(BaseModel):
    """Answer `GET /health`."""

    status: Literal["ok"] = "ok"
