"""The schema of the API, walked as a generator of clients does."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from api_service.edge.problems import PROBLEM_MEDIA_TYPE, PROBLEM_REF
from api_service.exceptions import PAGE_ERROR_CODES
from api_service.main import create_app

SCHEMA = create_app().openapi()
OPERATIONS = {
    operation["operationId"]: operation
    for path in SCHEMA["paths"].values()
    for operation in path.values()
}


def _resolved(node: dict[str, Any]) -> Any:
    if "$ref" not in node:
        return node
    found: Any = SCHEMA
    for name in node["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def _json_ld_nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _json_ld_nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _json_ld_nodes(value)


def _codes(operation_id: str, status: int) -> dict[str, Any]:
    content = OPERATIONS[operation_id]["responses"][str(status)]["content"]
    found: dict[str, Any] = content[PROBLEM_MEDIA_TYPE]["schema"]["properties"]["code"]
    return found


def test_an_operations_id_reads_as_the_method_of_a_client() -> None:
    operations = [operation for path in SCHEMA["paths"].values() for operation in path.values()]
    assert len(operations) == len(OPERATIONS), "two operations have the same id"
    assert OPERATIONS.keys() >= {"parse_async", "get_status", "get_result", "parse_sync"}
    for operation_id in OPERATIONS:
        assert re.fullmatch(r"[a-z]+_[a-z_]+", operation_id)


def test_every_reference_leads_somewhere() -> None:
    for node in _json_ld_nodes(SCHEMA):
        if "$ref" in node:
            assert _resolved(node)


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_every_error_is_the_one_problem_with_its_codes(operation_id: str) -> None:
    responses = OPERATIONS[operation_id]["responses"]
    assert "500" in responses
    for status, response in responses.items():
        assert _resolved(response["headers"]["X-Request-ID"])["schema"] == {"type": "string"}
        if int(status) < 400 or (operation_id, status) == ("get_readiness", "503"):
            continue
        assert response["content"].keys() == {PROBLEM_MEDIA_TYPE}
        # What stands in `allOf` becomes a class of its own in some clients.
        schema = response["content"][PROBLEM_MEDIA_TYPE]["schema"]
        assert (schema["$ref"], schema.keys()) == (PROBLEM_REF, {"$ref", "properties"})
        code = _codes(operation_id, int(status))
        assert (code["type"], status == "502") == ("string", "enum" not in code)
        if status in ("429", "503"):
            assert "Retry-After" in response["headers"]


def test_the_problem_is_described_once() -> None:
    inlined = [node for node in _json_ld_nodes(SCHEMA) if node.get("title") == "Problem"]
    assert inlined == [SCHEMA["components"]["schemas"]["Problem"]]
    assert "HTTPValidationError" not in SCHEMA["components"]["schemas"]


def test_the_codes_are_those_that_occur() -> None:
    assert _codes("get_status", 404) == {"type": "string", "enum": ["not_found"]}
    assert _codes("parse_async", 413) == {"type": "string", "enum": ["body_too_large"]}
    assert _codes("parse_async", 422)["enum"] == ["idempotency_mismatch", "invalid_request"]
    assert _codes("parse_sync", 422)["enum"] == ["invalid_request", "invalid_url"]


def test_codes_that_another_parser_chooses_are_examples() -> None:
    """A strict client would fail on a code that is not in an enum."""
    assert _codes("parse_sync", 502) == {"type": "string", "examples": sorted(PAGE_ERROR_CODES)}


@pytest.mark.parametrize(
    "name", ["ResultAnswer", "ParseSyncAnswer", "Metadata", "Feed", "ErrorFacts", "Health"]
)
def test_the_members_that_an_answer_always_has_are_required(name: str) -> None:
    """A client reads a member that is not required as one that may be absent."""
    found = SCHEMA["components"]["schemas"][name]
    assert found["required"] == list(found["properties"])


def test_what_is_absent_instead_of_null_is_not_nullable() -> None:
    problem = SCHEMA["components"]["schemas"]["Problem"]
    absent = problem["properties"].keys() - set(problem["required"])
    assert absent == {"retryable", "page_status"}
    [header] = OPERATIONS["parse_async"]["parameters"]
    assert header["name"] == "Idempotency-Key"
    assert {"minLength", "maxLength", "pattern"} <= header["schema"].keys()
    for schema in (header["schema"], *(problem["properties"][name] for name in absent)):
        assert {"type", "description"} <= schema.keys()
        assert not {"anyOf", "default"} & schema.keys()


def test_the_links_of_an_accepted_request_lead_to_its_status_and_its_result() -> None:
    links = OPERATIONS["parse_async"]["responses"]["202"]["links"]
    assert [link["operationId"] for link in links.values()] == ["get_status", "get_result"]
    accepted = SCHEMA["components"]["schemas"]["AcceptedAnswer"]["properties"]
    for link in links.values():
        [path, _] = OPERATIONS[link["operationId"]]["parameters"]
        [(name, expression)] = link["parameters"].items()
        assert (name, path["in"]) == (path["name"], "path")
        assert expression.removeprefix("$response.body#/") in accepted
