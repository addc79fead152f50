"""Every operation that takes an id answers another's like what never was.

The operations are those of /openapi.json, so a route that is added later is tried without an edit
here. An operation whose ids cannot be made fails the test, which says what to add to `MAKERS`.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest

from api_service.caller import Scope
from tests.support.accounts import Accounts, bearer
from tests.support.app_client import AppClient

URL = "https://a.example/"
PASSWORD = "seven wet owls"
OF_THIS_ANSWER = {"date", "x-request-id", "ratelimit", "retry-after"}
ANONYMOUS = "anonymous"
Headers = dict[str, str]


@dataclass(frozen=True)
class Operation:
    """A method and a path of the schema, whose references are resolved."""

    method: str
    path: str
    details: Mapping[str, Any]

    @property
    def id_names(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def is_public(self) -> bool:
        return self.details.get("security") == []

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Api:
    """The API with its schema, and callers of all kinds."""

    def __init__(self, client: AppClient) -> None:
        self.client = client
        self.schema: dict[str, Any] = client.app.openapi()
        self.callers: dict[str, Headers] = {ANONYMOUS: {}}

    async def open(self) -> "Api":
        """Make two users: by the API's own calls if it has accounts."""
        accounts = None if "/auth/register" in self.schema["paths"] else Accounts()
        for name in ("ada", "bob"):
            if accounts is not None:
                self.callers[name] = bearer(accounts.serve(self.client.app).add())
                continue
            who = {"email": f"{name}@example.org", "password": PASSWORD}
            assert (await self.client.post("/auth/register", json=who)).status_code == 201
            logged_in = await self.client.post("/auth/login", json=who)
            self.callers[name] = bearer(logged_in.json()["token"])
        return self

    def operations(self) -> Iterator[Operation]:
        for path, methods in self.schema["paths"].items():
            for method, details in methods.items():
                yield Operation(method.upper(), path, details)

    def resolve(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in node:
            found: Any = self.schema
            for name in node["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            node = found
        return node

    def example(self, node: Mapping[str, Any]) -> Any:
        """Make a value that a schema takes."""
        node = self.resolve(node)
        for key in ("example", "default", "const"):
            if key in node:
                return node[key]
        for key in ("examples", "enum"):
            if node.get(key):
                return node[key][0]
        for key in ("anyOf", "oneOf", "allOf"):
            if key in node:
                return self.example(node[key][0])
        return self._example_of_type(node)

    def _example_of_type(self, node: Mapping[str, Any]) -> Any:
        match node.get("type"):
            case "object":
                wanted = node.get("required", [])
                return {name: self.example(node["properties"][name]) for name in wanted}
            case "array":
                return [self.example(node["items"])]
            case "integer" | "number":
                return node.get("minimum", 1)
            case "boolean":
                return True
        return URL if node.get("format") == "uri" else "x" * node.get("minLength", 1)

    def options(self, operation: Operation) -> dict[str, Any]:
        """Make the body and the query that an operation wants."""
        made: dict[str, Any] = {}
        content = self.resolve(operation.details.get("requestBody", {})).get("content", {})
        if "application/json" in content:
            made["json"] = self.example(content["application/json"]["schema"])
        parameters = map(self.resolve, operation.details.get("parameters", []))
        wanted = [p for p in parameters if p["in"] == "query" and p.get("required")]
        made["params"] = {p["name"]: self.example(p["schema"]) for p in wanted}
        return made

    async def call(
        self, operation: Operation, caller: str, ids: Mapping[str, Any]
    ) -> httpx.Response:
        path = operation.path.format_map(ids)
        headers = self.callers[caller]
        return await self.client.request(
            operation.method, path, headers=headers, **self.options(operation)
        )

    async def make_id(self, operation: Operation, name: str, owner: str) -> Any:
        """Make something that the owner has, and return its id."""
        if name in MAKERS:
            return await MAKERS[name](self, owner)
        collection = operation.path.partition(f"/{{{name}}}")[0]
        for made_by in self.operations():
            if made_by.method == "POST" and made_by.path == collection:
                answer = await self.call(made_by, owner, {})
                assert answer.is_success, f"{made_by}: {answer.text}"
                found = answer.json()
                return found[name] if name in found else found["id"]
        pytest.fail(f"{operation}: say in MAKERS how a user gets a {name}")


async def _make_request(api: Api, owner: str) -> Any:
    answer = await api.client.post("/parse_async", json={"url": URL}, headers=api.callers[owner])
    return answer.json()["request_id"]


async def _find_user(api: Api, owner: str) -> Any:
    answer = await api.client.get("/auth/me", headers=api.callers[owner])
    return answer.json()["id"] or "00000000-0000-4000-8000-000000000000"


MAKERS: dict[str, Callable[[Api, str], Awaitable[Any]]] = {
    "request_id": _make_request,
    "user_id": _find_user,
}
"""How a user gets what a parameter names, where no POST to the path before it makes it."""


def _never_was(id: Any) -> Any:
    """Return an id of the same form that nothing has."""
    if isinstance(id, int):
        return id + 10**9
    return re.sub(r"[0-9a-f](?=[^0-9a-f]*$)", lambda found: "1" if found[0] == "0" else "0", id)


def _seen(answer: httpx.Response, ids: Mapping[str, Any]) -> tuple[int, str, dict[str, str]]:
    """Return what a caller sees of an answer, without the ids that they sent themselves."""
    text = answer.text
    for id in ids.values():
        text = re.sub(rf"\b{re.escape(str(id))}\b", "ID", text)
    headers = {k: v for k, v in answer.headers.items() if k not in OF_THIS_ANSWER}
    return answer.status_code, text, headers


@pytest.fixture
async def api(client: AppClient) -> Api:
    return await Api(client).open()


async def test_nobody_finds_what_is_anothers(api: Api, connection: asyncpg.Connection) -> None:
    walked = []
    for operation in api.operations():
        if not operation.id_names or operation.is_public:
            continue
        walked.append(str(operation))
        for owner in api.callers:
            try:
                ids = {n: await api.make_id(operation, n, owner) for n in operation.id_names}
            except AssertionError:
                if owner == ANONYMOUS:  # only users have such things
                    continue
                raise
            absent = {name: _never_was(id) for name, id in ids.items()}
            before = await _state(connection)
            for caller in api.callers.keys() - {owner}:
                theirs = _seen(await api.call(operation, caller, ids), ids)
                nothing = _seen(await api.call(operation, caller, absent), absent)
                assert theirs == nothing, f"{operation}: {caller} finds what is {owner}'s"
                assert theirs[0] in (401, 403, 404), f"{operation} by {caller}: {theirs}"
            assert await _state(connection) == before, f"{operation} changed what is {owner}'s"
            own = await api.call(operation, owner, ids)
            if operation.path.startswith("/admin/"):
                assert own.status_code in (401, 403)
            else:
                assert own.status_code not in (401, 403, 404, 422), f"{operation}: {own.text}"
    assert {"GET /status/{request_id}", "GET /result/{request_id}"} <= set(walked)


async def _state(connection: asyncpg.Connection) -> list[Any]:
    return list(await connection.fetch("SELECT id, owner_id, status, url FROM parse_requests"))


def test_a_route_of_a_shape_that_nobody_foresaw_is_noticed(client_schema: Api) -> None:
    """The walk itself: it finds an operation by its parameters and says what it lacks."""
    details: dict[str, Any] = {"responses": {}}
    client_schema.schema["paths"]["/things/{thing_id}"] = {"delete": details}
    [found] = [o for o in client_schema.operations() if "thing_id" in o.id_names]
    assert str(found) == "DELETE /things/{thing_id}"
    assert not found.is_public


@pytest.fixture
def client_schema(client: AppClient) -> Api:
    return Api(client)


async def test_a_token_of_everything_reads_no_pages_of_others(client: AppClient) -> None:
    accounts = Accounts().serve(client.app)
    ada, admin = accounts.add(), accounts.add(scopes=frozenset(Scope))
    accepted = await client.post("/parse_async", json={"url": URL}, headers=bearer(ada))
    for kind in ("status", "result"):
        path = f"/{kind}/{accepted.json()['request_id']}"
        assert (await client.get(path, headers=bearer(ada))).status_code == 200
        assert (await client.get(path, headers=bearer(admin))).status_code == 404
