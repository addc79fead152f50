"""Complete the OpenAPI schema with what holds for every route."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from api_service.edge.exceptions import InternalError
from api_service.edge.problems import Problem, problems

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
}


class DescribedApi(FastAPI):
    """An application whose schema makes good clients.

    1. `Problem` is one component, to which all errors refer.
    2. Every answer has an `X-Request-ID`, and every route may answer 500.
    3. An operation's id is its handler's name, which becomes a client's method.

    The framework's page at `/docs` loads other hosts' scripts, so `reference` has ours. Its
    redirects of paths that end with a slash name a host and port that a client behind a proxy
    cannot reach, so there are none.
    """

    def __init__(self, **options: Any) -> None:
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
            components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
            for operation in _operations(schema):
                _add_common_answers(operation)
        return schema


def _operations(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in schema["paths"].values():
        yield from (value for value in path.values() if isinstance(value, dict))


def _add_common_answers(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    for status, declared in problems(InternalError).items():
        responses.setdefault(str(status), declared)
    for response in responses.values():
        headers = response.setdefault("headers", {})
        headers["X-Request-ID"] = {"$ref": "#/components/headers/X-Request-ID"}
