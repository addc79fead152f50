"""HTTP for administrators."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api_service.accounts.administration import Administration, UserChange
from api_service.accounts.deletion import AccountDeletions
from api_service.accounts.dependencies import ActingAdmin, UserId
from api_service.accounts.exceptions import LastAdminError, NoSuchUserError
from api_service.accounts.requests import UserChangeBody
from api_service.accounts.responses import DeletionAnswer, ListedUser, UsersAnswer
from api_service.accounts.users import StoredUser, resolve_limits
from api_service.caller import CallerLimits
from api_service.dependencies import RootPath, provided
from api_service.edge.exceptions import (
    BadRequestError,
    BodyTooLargeError,
    InvalidRequestError,
    RequestTimeoutError,
)
from api_service.edge.lists import ListQuery, cut_page
from api_service.edge.problems import DeclaredAnswers, problems
from api_service.exceptions import (
    DatabaseUnavailableError,
    NotAllowedError,
    NotAuthenticatedError,
)

router = APIRouter()

Admin = Annotated[Administration, Depends(provided(Administration))]
Deletions = Annotated[AccountDeletions, Depends(provided(AccountDeletions))]
DefaultLimits = Annotated[CallerLimits, Depends(provided(CallerLimits))]

_NEEDS_ADMIN = (NotAuthenticatedError, NotAllowedError, DatabaseUnavailableError)
DELETION_LOCATION: DeclaredAnswers = {
    202: {
        "headers": {
            "Location": {
                "description": "Path of the deletion, which anybody may ask.",
                "schema": {"type": "string"},
            }
        }
    }
}


@router.get(
    "/admin/users",
    summary="List the users",
    response_description="A page of users, newest first.",
    responses=problems(*_NEEDS_ADMIN, InvalidRequestError),
)
async def list_users(
    query: Annotated[ListQuery, Query()], admin: Admin, _: ActingAdmin, defaults: DefaultLimits
) -> UsersAnswer:
    """Answer a page of users, inactive ones included."""
    rows = await admin.list(limit=query.limit + 1, after=query.after)
    page, cursor = cut_page(rows, query.limit)
    return UsersAnswer(items=[_listed(user, defaults) for user in page], next_cursor=cursor)


@router.patch(
    "/admin/users/{user_id}",
    summary="Change a user",
    response_description="The user as they are now.",
    responses=problems(
        *_NEEDS_ADMIN,
        BadRequestError,
        RequestTimeoutError,
        BodyTooLargeError,
        InvalidRequestError,
        NoSuchUserError,
        LastAdminError,
    ),
)
async def change_user(
    user_id: UserId,
    body: UserChangeBody,
    admin: Admin,
    actor: ActingAdmin,
    defaults: DefaultLimits,
) -> ListedUser:
    """Change what is given. A user who is made inactive is out at once."""
    limits = None if body.limits is None else body.limits.model_dump(exclude_unset=True)
    change = UserChange(is_active=body.is_active, role=body.role, limits=limits)
    return _listed(await admin.change(actor, user_id, change), defaults)


@router.delete(
    "/admin/users/{user_id}",
    status_code=HTTPStatus.ACCEPTED,
    summary="Delete a user",
    response_description="The account is gone; what was its user's is being deleted.",
    responses=DELETION_LOCATION
    | problems(*_NEEDS_ADMIN, NoSuchUserError, LastAdminError, InvalidRequestError),
)
async def delete_user(
    user_id: UserId,
    deletions: Deletions,
    actor: ActingAdmin,
    root_path: RootPath,
    response: Response,
) -> DeletionAnswer:
    """Delete an account with all that is its user's. `Location` says when that is done."""
    deletion = await deletions.delete(actor, user_id)
    response.headers["Location"] = f"{root_path}/auth/deletions/{deletion.id}"
    return DeletionAnswer.of(deletion)


def _listed(user: StoredUser, defaults: CallerLimits) -> ListedUser:
    return ListedUser.of_user(user, resolve_limits(user.limits, defaults))
