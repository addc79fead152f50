"""Dependencies of this room's handlers: who acts, on what, and whether strangers may register."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Request
from pydantic import StringConstraints

from api_service.accounts.credentials import is_key
from api_service.accounts.exceptions import NoSuchKeyError, NoSuchUserError
from api_service.accounts.users import Actor
from api_service.caller import Scope
from api_service.dependencies import CurrentCaller, provided
from api_service.edge.anonymous import AnonymousAccess
from api_service.exceptions import NotAllowedError, NotAuthenticatedError, NotFoundError


async def _is_anonymous_admitted(
    request: Request, access: Annotated[AnonymousAccess, Depends(provided(AnonymousAccess))]
) -> bool:
    return access.admits_anonymous(request.scope)


async def _any_actor(request: Request, caller: CurrentCaller) -> Actor:
    return Actor(caller, request.client.host if request.client else "")


async def _reader(actor: Annotated[Actor, Depends(_any_actor)]) -> Actor:
    if actor.caller.owner_id is None:
        raise NotAuthenticatedError
    return actor


async def _writer(actor: Annotated[Actor, Depends(_reader)]) -> Actor:
    if Scope.WRITE not in actor.caller.scopes:
        raise NotAllowedError
    return actor


async def _logged_in_writer(actor: Annotated[Actor, Depends(_writer)]) -> Actor:
    if is_key(actor.caller.credential_id):
        raise NotAllowedError("A key may not do this; log in with the password.")
    return actor


async def _admin(actor: Annotated[Actor, Depends(_reader)]) -> Actor:
    if Scope.ADMIN not in actor.caller.scopes:
        raise NotAllowedError
    return actor


def _read_id(text: str, error: type[NotFoundError]) -> UUID:
    """Read an id in the form in which we write it; there is nothing under any other text."""
    try:
        found = UUID(text)
    except ValueError:
        raise error from None
    if str(found) != text:
        raise error
    return found


async def _user_id(user_id: Annotated[str, Path(description="The id of a user.")]) -> UUID:
    return _read_id(user_id, NoSuchUserError)


async def _key_id(key_id: Annotated[str, Path(description="The id of a key.")]) -> UUID:
    return _read_id(key_id, NoSuchKeyError)


AnyActor = Annotated[Actor, Depends(_any_actor)]
"""Whoever calls, known or not."""
ReadingUser = Annotated[Actor, Depends(_reader)]
"""A caller with an account."""
WritingUser = Annotated[Actor, Depends(_writer)]
"""A caller with an account and the scope `write`."""
LoggedInUser = Annotated[Actor, Depends(_logged_in_writer)]
"""A caller with a session: a key that leaked makes no other keys, and deletes no account."""
ActingAdmin = Annotated[Actor, Depends(_admin)]
"""A caller with the scope `admin`."""
AnonymousIsAdmitted = Annotated[bool, Depends(_is_anonymous_admitted)]
"""Whether this client would be served without an account."""
UserId = Annotated[UUID, Depends(_user_id)]
KeyId = Annotated[UUID, Depends(_key_id)]
DeletionId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$"),
    Path(description="The id of a deletion."),
]
