"""The schema of the parser's HTTP side, walked as a generator of clients does."""

from parser_service.main import create_app
from parser_service.problems import MEDIA_TYPE, PROBLEM_REF

SCHEMA = create_app().openapi()
SCHEMAS = SCHEMA["components"]["schemas"]


def test_an_operations_id_reads_as_the_method_of_a_client() -> None:
    operations = [operation for path in SCHEMA["paths"].values() for operation in path.values()]
    assert [operation["operationId"] for operation in operations] == ["fetch", "get_health"]


def test_every_error_refers_to_the_one_problem() -> None:
    responses = SCHEMA["paths"]["/fetch"]["get"]["responses"]
    assert responses.keys() == {"200", "422", "502", "503"}
    for status in responses.keys() - {"200"}:
        assert responses[status]["content"] == {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_REF}}}
    assert "Retry-After" in responses["503"]["headers"]
    assert SCHEMAS["Problem"]["title"] == "Problem"
    assert "HTTPValidationError" not in SCHEMAS


def test_members_are_required_unless_they_may_be_absent() -> None:
    for name in ("FetchAnswer", "Metadata", "Feed", "Redirect", "Health"):
        assert SCHEMAS[name]["required"] == list(SCHEMAS[name]["properties"])
    absent = SCHEMAS["Problem"]["properties"].keys() - set(SCHEMAS["Problem"]["required"])
    assert absent == {"retryable", "page_status"}


def test_no_parameter_is_null_and_none_is_what_http_itself_needs() -> None:
    parameters = SCHEMA["paths"]["/fetch"]["get"]["parameters"]
    names = [parameter["name"] for parameter in parameters]
    assert names == ["respect_robots", "title_fallback", "url", "X-Request-ID"]
    assert not any("anyOf" in parameter["schema"] for parameter in parameters)
