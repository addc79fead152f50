"""HTTP for one's own account."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api_service.accounts import admin_routes
from api_service.accounts.admin_routes import DELETION_LOCATION
from api_service.accounts.browser import (
    clear_session_cookie,
    session_tokens,
    set_session_cookie,
)
from api_service.accounts.deletion import AccountDeletions
from api_service.accounts.dependencies import (
    AnonymousIsAdmitted,
    AnyActor,
    DeletionId,
    KeyId,
    LoggedInUser,
    ReadingUser,
    WritingUser,
)
from api_service.accounts.exceptions import (
    BadCredentialsError,
    EmailTakenError,
    LastAdminError,
    NoSuchDeletionError,
    NoSuchKeyError,
    PasswordsBusyError,
    RegistrationClosedError,
    TooManyAttemptsError,
    TooManyKeysError,
    WeakPasswordError,
)
from api_service.accounts.keys import KeyService
from api_service.accounts.registration import RegistrationRule
from api_service.accounts.requests import CredentialsBody, KeyBody, PasswordBody
from api_service.accounts.responses import (
    CallerAnswer,
    DeletionAnswer,
    KeyAnswer,
    KeysAnswer,
    LoginAnswer,
    NewKeyAnswer,
    UserAnswer,
)
from api_service.accounts.service import AccountService
from api_service.accounts.usage import UsageReader
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

router = APIRouter(tags=["Accounts"])
router.include_router(admin_routes.router)

Accounts = Annotated[AccountService, Depends(provided(AccountService))]
Keys = Annotated[KeyService, Depends(provided(KeyService))]
Deletions = Annotated[AccountDeletions, Depends(provided(AccountDeletions))]
ProvidedUsage = Annotated[UsageReader, Depends(provided(UsageReader))]
Registration = Annotated[RegistrationRule, Depends(provided(RegistrationRule))]

_READS_BODY = (BadRequestError, RequestTimeoutError, BodyTooLargeError, InvalidRequestError)
_CHECKS_PASSWORD = (
    BadCredentialsError,
    TooManyAttemptsError,
    PasswordsBusyError,
    DatabaseUnavailableError,
)
_NEEDS_USER = (NotAuthenticatedError, DatabaseUnavailableError)
_NEEDS_WRITER = (*_NEEDS_USER, NotAllowedError)
_COOKIE: DeclaredAnswers = {
    204: {
        "headers": {
            "Set-Cookie": {
                "description": "The session's cookie, set or cleared.",
                "schema": {"type": "string"},
            }
        }
    }
}


@router.post(
    "/auth/register",
    status_code=HTTPStatus.CREATED,
    summary="Create an account",
    response_description="The account is there.",
    responses=problems(
        *_READS_BODY,
        RegistrationClosedError,
        EmailTakenError,
        WeakPasswordError,
        TooManyAttemptsError,
        PasswordsBusyError,
        DatabaseUnavailableError,
    ),
)
async def register_user(
    body: CredentialsBody,
    accounts: Accounts,
    registration: Registration,
    actor: AnyActor,
    anonymous_is_admitted: AnonymousIsAdmitted,
) -> UserAnswer:
    """Create an account, where that is open; administrators may always."""
    registration.require_open(actor.caller, anonymous_is_admitted=anonymous_is_admitted)
    user = await accounts.register(actor, body.email, body.password.get_secret_value())
    return UserAnswer.model_validate(user)


@router.post(
    "/auth/login",
    summary="Begin a session",
    response_description="The session, with its token.",
    responses=problems(*_READS_BODY, *_CHECKS_PASSWORD),
)
async def log_in(body: CredentialsBody, accounts: Accounts, actor: AnyActor) -> LoginAnswer:
    """Answer a token that is valid for 30 days, or until a logout."""
    login = await accounts.log_in(actor, body.email, body.password.get_secret_value())
    return LoginAnswer.of(login)


@router.post(
    "/auth/logout",
    status_code=HTTPStatus.NO_CONTENT,
    summary="End the session",
    response_description="The token is dead, in every process.",
    responses=problems(*_NEEDS_WRITER),
)
async def log_out(accounts: Accounts, actor: ReadingUser, request: Request) -> Response:
    """End the session whose token was sent, and that of the cookie."""
    await accounts.log_out(actor)
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    tokens = list(session_tokens(request))
    for token in tokens:
        await accounts.end_session(actor, token)
    if tokens:
        clear_session_cookie(request, response)
    return response


@router.post(
    "/auth/session",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Begin a browser's session",
    response_description="The cookie is set.",
    responses=_COOKIE | problems(*_READS_BODY, *_CHECKS_PASSWORD),
)
async def begin_browser_session(
    body: CredentialsBody, accounts: Accounts, actor: AnyActor, request: Request
) -> Response:
    """Set a cookie that no script can read, valid for 30 days, or until a logout."""
    login = await accounts.log_in(actor, body.email, body.password.get_secret_value())
    for token in session_tokens(request):  # the new cookie takes its place
        await accounts.end_session(actor, token)
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    set_session_cookie(request, response, login.token)
    return response


@router.delete(
    "/auth/session",
    status_code=HTTPStatus.NO_CONTENT,
    summary="End a browser's session",
    response_description="The cookie is cleared; its session, if there was one, is dead.",
    responses=_COOKIE | problems(DatabaseUnavailableError),
)
async def end_browser_session(accounts: Accounts, actor: AnyActor, request: Request) -> Response:
    """End the session of the cookie, and clear it; also one that is dead."""
    for token in session_tokens(request):
        await accounts.end_session(actor, token)
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    clear_session_cookie(request, response)
    return response


@router.get(
    "/auth/me",
    summary="Who calls",
    response_description="The caller, with limits and their use.",
    responses=problems(*_NEEDS_USER),
)
async def get_caller(accounts: Accounts, actor: AnyActor, usage: ProvidedUsage) -> CallerAnswer:
    """Describe the caller; without an account, `id`, `email` and `role` are null."""
    user = await accounts.read_user(actor) if actor.caller.owner_id else None
    return CallerAnswer.of(actor.caller, user, await usage.read(actor.caller))


@router.delete(
    "/auth/me",
    status_code=HTTPStatus.ACCEPTED,
    summary="Delete one's account",
    response_description="The account is gone; what was its user's is being deleted.",
    responses=DELETION_LOCATION | problems(*_NEEDS_WRITER, LastAdminError),
)
async def delete_own_account(
    deletions: Deletions, actor: LoggedInUser, root_path: RootPath, response: Response
) -> DeletionAnswer:
    """Delete the account with all that is its user's. `Location` says when that is done."""
    deletion = await deletions.delete(actor, actor.user_id)
    response.headers["Location"] = f"{root_path}/auth/deletions/{deletion.id}"
    return DeletionAnswer.of(deletion)


@router.get(
    "/auth/deletions/{deletion_id}",
    summary="How far a deletion is",
    response_description="The deletion as it is now.",
    responses=problems(NoSuchDeletionError, InvalidRequestError, DatabaseUnavailableError),
)
async def get_deletion(deletions: Deletions, deletion_id: DeletionId) -> DeletionAnswer:
    """Answer anybody who knows the id: the account that asked is gone."""
    return DeletionAnswer.of(await deletions.read(deletion_id))


@router.post(
    "/auth/password",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Change one's password",
    response_description="The password is changed; all other sessions are dead.",
    responses=problems(*_READS_BODY, *_CHECKS_PASSWORD, *_NEEDS_WRITER, WeakPasswordError),
)
async def change_password(body: PasswordBody, accounts: Accounts, actor: LoggedInUser) -> None:
    """Replace the password, and end all sessions but this one. Keys stay."""
    current, new = body.current.get_secret_value(), body.new.get_secret_value()
    await accounts.change_password(actor, current, new)


@router.post(
    "/auth/keys",
    status_code=HTTPStatus.CREATED,
    summary="Create an API key",
    response_description="The key, which is not shown again.",
    responses=problems(*_READS_BODY, *_NEEDS_WRITER, TooManyKeysError),
)
async def create_key(body: KeyBody, keys: Keys, actor: LoggedInUser) -> NewKeyAnswer:
    """Create a key for programs. It may do no more than the token that creates it."""
    scopes = None if body.scopes is None else frozenset(body.scopes)
    stored, key = await keys.create(
        actor, name=body.name, scopes=scopes, expires_at=body.expires_at
    )
    return NewKeyAnswer.of(stored, key)


@router.get(
    "/auth/keys",
    summary="List one's API keys",
    response_description="A page of keys, newest first.",
    responses=problems(*_NEEDS_USER, InvalidRequestError),
)
async def list_keys(
    query: Annotated[ListQuery, Query()], keys: Keys, actor: ReadingUser
) -> KeysAnswer:
    """Answer a page of keys, those that have expired included."""
    rows = await keys.list(actor, limit=query.limit + 1, after=query.after)
    page, cursor = cut_page(rows, query.limit)
    return KeysAnswer(items=[KeyAnswer.model_validate(key) for key in page], next_cursor=cursor)


@router.delete(
    "/auth/keys/{key_id}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete an API key",
    response_description="The key is dead, in every process.",
    responses=problems(*_NEEDS_WRITER, NoSuchKeyError, InvalidRequestError),
)
async def delete_key(key_id: KeyId, keys: Keys, actor: WritingUser) -> None:
    """Delete a key. Requests that use it from now on are not authenticated."""
    await keys.delete(actor, key_id)
