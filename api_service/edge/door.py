"""Find out who calls before anything else is done with a request, and whether they may."""

import hmac

from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as HttpScope

from api_service.caller import ANONYMOUS, CALLER_SCOPE_KEY, Caller, CallerLookup, Scope
from api_service.edge.anonymous import AnonymousAccess
from api_service.edge.call_rules import CallRule, CallRules
from api_service.edge.credentials import ShownToken, read_token
from api_service.edge.cross_site import require_same_origin
from api_service.edge.problems import problem_response
from api_service.edge.request_rates import RateState, RequestRates
from api_service.edge.session_cookie import cookie_name, is_secure
from api_service.exceptions import (
    ApiError,
    NotAllowedError,
    NotAuthenticatedError,
    RateLimitedError,
)

_REFUSED_HOST_MESSAGE = (
    "Callers without an account are admitted only under a Host of ALLOWED_HOSTS; log in, or send a "
    "valid token as Authorization: Bearer ..."
)


class DeadSessionError(NotAuthenticatedError):
    """The session of the cookie has ended; the answer has the browser forget it."""


class Door:
    """Let requests in.

    1. A call for everybody that only reads is served as it is; no token of it is looked at.
    2. A token that is shown must be valid: nobody becomes anonymous by a wrong one. Without a
       token, the caller is anonymous, if such callers are admitted or the call is for everybody.
    3. What acts, and a browser may have been made to send, must come from our own pages.
    4. A user's requests in this minute are within the limit.
    5. The caller has the scope that the call needs.

    Args:
        access: admits callers without an account, or not.
        rates: counts the requests of users.
        lookup: finds callers by their tokens; None if there are no accounts.
        metrics_token: opens calls for operators.
    """

    def __init__(
        self,
        *,
        access: AnonymousAccess,
        rates: RequestRates,
        lookup: CallerLookup | None,
        metrics_token: str | None,
    ) -> None:
        self._access = access
        self._rates = rates
        self._lookup = lookup
        self._metrics_token = metrics_token

    async def find_caller(
        self, scope: HttpScope, rule: CallRule
    ) -> tuple[Caller, RateState | None]:
        """Return who calls, and how many requests they have left in this minute.

        Raises:
            NotAuthenticatedError, NotAllowedError, CrossSiteError, RateLimitedError: they may not.
            ApiError: it cannot be found out at the moment.
        """
        token = read_token(scope)
        if rule.is_public and token is not None and token.is_cookie:
            caller = await self._find_guest(scope, token)
        elif token is not None:
            if token.is_cookie and rule.acts:
                require_same_origin(scope)
            caller = await self._find_user(token)
        else:
            caller = self._find_anonymous(scope, rule)
        rate = await self._rates.take(caller)
        if rate is None or rate.is_admitted:
            self._require_scope(scope, caller, rule)
        return caller, rate

    def opens_for_operators(self, scope: HttpScope) -> bool:
        """Return whether a request shows the token for metrics."""
        token = read_token(scope)
        if self._metrics_token is None or token is None or token.is_cookie or token.text is None:
            return False
        return hmac.compare_digest(token.text.encode(), self._metrics_token.encode())

    async def _find_user(self, token: ShownToken) -> Caller:
        caller = None
        if self._lookup is not None and token.text is not None:
            caller = await self._lookup.find(token.text)
        if caller is None:
            raise DeadSessionError if token.is_cookie else NotAuthenticatedError
        return caller

    async def _find_guest(self, scope: HttpScope, token: ShownToken) -> Caller:
        """Return the cookie's user, else an anonymous caller: who logs in may have a dead one."""
        require_same_origin(scope)
        try:
            return await self._find_user(token)
        except DeadSessionError:
            return ANONYMOUS

    def _find_anonymous(self, scope: HttpScope, rule: CallRule) -> Caller:
        if not rule.is_public and not self._access.admits_anonymous(scope):
            if self._access.is_possible:
                raise NotAuthenticatedError(_REFUSED_HOST_MESSAGE)
            raise NotAuthenticatedError
        if rule.acts:
            require_same_origin(scope)
        return ANONYMOUS

    def _require_scope(self, scope: HttpScope, caller: Caller, rule: CallRule) -> None:
        if rule.is_public:
            return
        needed = rule.scope
        if rule.is_for_operators:
            needed = None if self._access.admits_anonymous(scope) else Scope.ADMIN
        if needed is not None and needed not in caller.scopes:
            raise NotAuthenticatedError if caller.owner_id is None else NotAllowedError


class DoorMiddleware:
    """Answer those who may not come in; put the caller into the scope of the others.

    The body of a request that is refused is never read.

    Args:
        app: the application that answers.
        rules: what each call asks of its caller.
    """

    def __init__(self, app: ASGIApp, rules: CallRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        rule = self._rules.find(scope)
        if scope["type"] == "websocket":  # a browser opens one for any page
            rule = CallRule(rule.is_public, rule.is_for_operators, rule.scope, acts=True)
        door: Door = scope["app"].state.collaborators.get(Door)
        if (rule.is_public and not rule.acts) or (
            rule.is_for_operators and door.opens_for_operators(scope)
        ):
            await self._app(scope, receive, send)
            return
        try:
            caller, rate = await door.find_caller(scope, rule)
            if rate is not None:
                send = _with_rate_headers(send, rate)
                if not rate.is_admitted:
                    raise RateLimitedError(rate.explain(), retry_after=rate.seconds)
        except ApiError as error:
            headers = _forget_cookie(scope) if isinstance(error, DeadSessionError) else {}
            await _refuse(error, headers, scope, receive, send)
            return
        scope[CALLER_SCOPE_KEY] = caller
        await self._app(scope, receive, send)


async def _refuse(
    error: ApiError, headers: dict[str, str], scope: HttpScope, receive: Receive, send: Send
) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope["extensions"]:
        await send({"type": "websocket.close"})
        return
    await problem_response(error, headers=headers)(scope, receive, send)


def _with_rate_headers(send: Send, rate: RateState) -> Send:
    """Add what draft-ietf-httpapi-ratelimit-headers says of a limit."""

    async def complete(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *rate.headers()]
        await send(message)

    return complete


def _forget_cookie(scope: HttpScope) -> dict[str, str]:
    secure = "; Secure" if is_secure(scope) else ""
    return {
        "Set-Cookie": f"{cookie_name(scope)}=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict{secure}"
    }
