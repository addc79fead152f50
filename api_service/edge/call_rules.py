"""Say of every call whether it is for everybody, and which scope it needs.

Shut by default: a path that no rule names, an unknown one too, is for known callers and for those
without an account where these are admitted.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette._utils import get_route_path  # the router's own: no path has two readings
from starlette.routing import compile_path
from starlette.types import Scope as HttpScope

from api_service.caller import Scope

READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ADMIN_PATHS = "/admin/"


@dataclass(frozen=True, slots=True)
class CallRule:
    """What a call asks of its caller.

    Attributes:
        is_public: whether it is for everybody.
        is_for_operators: whether it needs the scope `admin` where callers without an account are
            refused, and opens for `METRICS_TOKEN`.
        scope: what the caller's token must have; None for any known caller.
        acts: whether it does more than read.
    """

    is_public: bool = False
    is_for_operators: bool = False
    scope: Scope | None = None
    acts: bool = False


class CallRules:
    """Find the rule of a call.

    Calls are written as a method and a route's path, such as `GET /status/{request_id}`; GET stands
    for HEAD as well.

    Args:
        public: calls for everybody.
        operator: calls for operators, such as metrics.
        scopes: scopes of calls for which the method does not tell.
    """

    def __init__(
        self,
        *,
        public: Iterable[str] = (),
        operator: Iterable[str] = (),
        scopes: Mapping[str, Scope | None] | None = None,
    ) -> None:
        self._exact: dict[str, CallRule] = {}
        self._patterns: list[tuple[str, re.Pattern[str], CallRule]] = []
        scopes = scopes or {}
        public, operator = set(public), set(operator)
        for call in public | operator | scopes.keys():
            method, _, path = call.partition(" ")
            usual = _usual_rule(method, path)
            scope = scopes.get(call, usual.scope)
            rule = CallRule(
                is_public=call in public,
                is_for_operators=call in operator,
                scope=scope,
                acts=usual.acts or scope is Scope.WRITE,
            )
            if "{" in path:
                self._patterns.append((method, compile_path(path)[0], rule))
            else:
                self._exact[call] = rule

    def find(self, scope: HttpScope) -> CallRule:
        """Return the rule of a request, which is read as the router will read it."""
        return self.find_by_path(scope.get("method", "GET"), get_route_path(scope))

    def find_by_path(self, method: str, path: str) -> CallRule:
        """Return the rule of a method and a path, or a route's path."""
        method = "GET" if method == "HEAD" else method
        if (rule := self._exact.get(f"{method} {path}")) is not None:
            return rule
        for of_method, pattern, rule in self._patterns:
            if of_method == method and pattern.match(path):
                return rule
        return _usual_rule(method, path)


def _usual_rule(method: str, path: str) -> CallRule:
    acts = method not in READING_METHODS
    if path.startswith(ADMIN_PATHS):
        return CallRule(scope=Scope.ADMIN, acts=acts)
    return CallRule(scope=Scope.WRITE if acts else Scope.READ, acts=acts)
