"""Define what clients may ask of the HTTP routes."""

from typing import Annotated

from pydantic import Field

from parser_service.page import PageOptions

UnparsedUrl = Annotated[
    str,
    Field(
        description="An absolute http or https URL.",
        examples=["https://example.com/"],
        min_length=1,
        max_length=8192,
        json_schema_extra={"format": "uri"},
    ),
]


class FetchQuery(PageOptions):
    """Read the query of `GET /fetch`."""

    url: UnparsedUrl
