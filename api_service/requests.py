"""Bodies and queries that clients send."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api_service.page.url import MAX_URL_LENGTH, normalise_url

MAX_WAIT_SECONDS = 30
"""Seconds that a client may wait for a request to end."""


PageUrl = Annotated[
    str,
    Field(
        description="An absolute http or https URL of at most 2,083 characters.",
        examples=["https://example.com/"],
        min_length=1,
        max_length=MAX_URL_LENGTH,
        json_schema_extra={"format": "uri"},
    ),
    AfterValidator(normalise_url),
]


class ClientOptions(BaseModel):
    """Options of a request, besides its URL."""

    respect_robots: Annotated[
        bool,
        Field(description="Obey the site's robots.txt."),
    ] = False
    title_fallback: Annotated[
        bool,
        Field(
            description=(
                "Use `og:title` or the first `h1` if a page has no title; `title_source` says "
                "which."
            )
        ),
    ] = False

    def enabled_options(self) -> dict[str, bool]:
        """Return the options that are on, by name."""
        return {name: True for name in ClientOptions.model_fields if getattr(self, name)}


class ParseAsyncBody(ClientOptions):
    """The body of `POST /parse_async`."""

    # In JSON a boolean is a boolean; anything else that pydantic would accept is a mistake.
    model_config = ConfigDict(strict=True)

    url: PageUrl


class ParseSyncQuery(ClientOptions):
    """The query of `GET /parse_sync`."""

    url: PageUrl


class WaitQuery(BaseModel):
    """The query of `GET /status/{request_id}` and `GET /result/{request_id}`."""

    wait: Annotated[
        float,
        Field(
            ge=0,
            le=MAX_WAIT_SECONDS,
            allow_inf_nan=False,
            description=(
                "Long poll: answer when the request ends, at the latest after this many seconds."
            ),
        ),
    ] = 0
