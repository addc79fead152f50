"""Read the Idempotency-Key of a request."""

from typing import Annotated

from fastapi import Depends, Header, Request
from pydantic.json_schema import SkipJsonSchema

from api_service.dependencies import CurrentCaller
from api_service.idempotency.service import (
    CREDENTIALS,
    SCOPE_PREFIXES,
    ScopedKey,
    scope_of,
    scope_of_host,
    scope_of_owner,
)

_KEY_PATTERN = r"^[\x21-\x7e]+$"


async def _scoped_key(
    request: Request,
    caller: CurrentCaller,
    idempotency_key: Annotated[
        str | SkipJsonSchema[None],
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=255,
            pattern=_KEY_PATTERN,
            json_schema_extra={"pattern": _KEY_PATTERN},  # which pydantic leaves out for `| None`
            description=(
                "Any text of the client's own. A request that is sent again with the same key "
                "within 24 hours gets the first answer again and creates one job. Keys are "
                "scoped to the `Authorization` header, else to the client's address."
            ),
        ),
    ] = None,
) -> ScopedKey | None:
    """Scope the key to the caller's account, else to their credentials, else to their address.

    Only a digest is kept.
    """
    if idempotency_key is None:
        return None
    credentials = request.headers.get("authorization")
    if caller.owner_id:
        scope = scope_of_owner(caller.owner_id)
    elif credentials:
        scope = scope_of(_tag_ambiguous_credentials(credentials))
    else:
        scope = scope_of_host(request.client.host if request.client else "")
    return ScopedKey(scope, idempotency_key)


def _tag_ambiguous_credentials(credentials: str) -> str:
    """Return a scope that no owner, no host and no other credentials have.

    Only credentials that begin like a tagged scope get a tag: earlier versions stored keys under
    the credentials alone.
    """
    return f"{CREDENTIALS}{credentials}" if credentials.startswith(SCOPE_PREFIXES) else credentials


OptionalIdempotencyKey = Annotated[ScopedKey | None, Depends(_scoped_key)]
