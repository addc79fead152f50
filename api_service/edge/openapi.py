"""Complete the OpenAPI schema with what holds for every route."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from api_service.edge.call_rules import CallRule, CallRules
from api_service.edge.exceptions import CrossSiteError, InternalError
from api_service.edge.problems import PROBLEM_MEDIA_TYPE, Problem, problems
from api_service.edge.session_cookie import COOKIE_NAME
from api_service.exceptions import (
    ApiError,
    DatabaseUnavailableError,
    NotAllowedError,
    NotAuthenticatedError,
    RateLimitedError,
)

_HEADERS = {
    "X-Request-ID": {
        "description": "The id of the request in every log, the client's own or a new one.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds after which to ask again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "RateLimit-Policy": {
        "description": "To users: the requests (`q`) that they may send in `w` seconds.",
        "schema": {"type": "string", "examples": ['"minute";q=60;w=60']},
    },
    "RateLimit": {
        "description": "To users: the requests that are left (`r`) in the next `t` seconds.",
        "schema": {"type": "string", "examples": ['"minute";r=12;t=30']},
    },
}
_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of a session, or an API key.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE_NAME,
        "description": f"A browser's session; over TLS the name is `__Host-{COOKIE_NAME}`.",
    },
}
# For the whole API, not for each operation: some generators would make a client's credentials
# compulsory, but where callers without an account are admitted, a client needs none.
_ANY_OR_NO_CREDENTIALS: list[dict[str, list[str]]] = [{}, {"bearer": []}, {"cookie": []}]


class DescribedApi(FastAPI):
    """An application whose schema makes good clients.

    1. `Problem` is one component, to which all errors refer.
    2. Every answer has an `X-Request-ID`, and every route may answer 500.
    3. What refuses callers is declared for each route that can refuse them, by its rule.
    4. An operation's id is its handler's name, which becomes a client's method.

    The framework's page at `/docs` loads other hosts' scripts, so `reference` has ours. Its
    redirects of paths that end with a slash name a host and port that a client behind a proxy
    cannot reach, so there are none.
    """

    def __init__(self, *, rules: CallRules, **options: Any) -> None:
        self._rules = rules
        super().__init__(
            **options,
            generate_unique_id_function=lambda route: route.name,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )

    def openapi(self) -> dict[str, Any]:
        """Return the schema; it is made once."""
        schema = super().openapi()
        components = schema.setdefault("components", {})
        if "headers" not in components:
            components["headers"] = _HEADERS
            components["securitySchemes"] = _SECURITY_SCHEMES
            components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
            schema["security"] = _ANY_OR_NO_CREDENTIALS
            for method, path, operation in _operations(schema):
                _add_refusals(operation, self._rules.find_by_path(method, path))
                _add_common_answers(operation)
        return schema


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if isinstance(operation, dict):
                yield method.upper(), path, operation


def _add_refusals(operation: dict[str, Any], rule: CallRule) -> None:
    """Declare how `door.py` may answer in place of the route."""
    if rule.is_public and not rule.acts:
        operation["security"] = []
        return
    errors: list[type[ApiError]] = [NotAuthenticatedError]
    if rule.acts:
        errors.append(CrossSiteError)
    if rule.scope is not None and not rule.is_public:
        errors.append(NotAllowedError)
    _add_problems(operation, *errors, RateLimitedError, DatabaseUnavailableError)
    for response in operation["responses"].values():
        headers = response.setdefault("headers", {})
        for name in ("RateLimit-Policy", "RateLimit"):
            headers[name] = {"$ref": f"#/components/headers/{name}"}


def _add_problems(operation: dict[str, Any], *errors: type[ApiError]) -> None:
    """Declare errors next to those that the route declares with the same status."""
    responses = operation["responses"]
    for error in errors:
        [(status, declared)] = problems(error).items()
        present = responses.setdefault(str(status), declared)
        if present is declared:
            continue
        code = present["content"][PROBLEM_MEDIA_TYPE]["schema"]["properties"]["code"]
        known = code["enum" if "enum" in code else "examples"]
        if error.code not in known:
            known.append(error.code)
            known.sort()
            present["description"] += f"\n\n{declared['description']}"
        present["headers"] = declared.get("headers", {}) | present.get("headers", {})


def _add_common_answers(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    for status, declared in problems(InternalError).items():
        responses.setdefault(str(status), declared)
    for response in responses.values():
        headers = response.setdefault("headers", {})
        headers["X-Request-ID"] = {"$ref": "#/components/headers/X-Request-ID"}
