"""The codes that docs/errors.md lists are those that the code has."""

import re
from collections.abc import Iterator
from http import HTTPStatus

from api_service import main
from api_service.exceptions import ApiError
from tests.support.system import ROOT

DOCUMENT = (ROOT / "docs" / "errors.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def _kinds(kind: type[ApiError] = ApiError) -> Iterator[type[ApiError]]:
    """Yield the errors of the application's own modules; tests have others."""
    assert main.app.routes  # importing it imports every room
    for found in kind.__subclasses__():
        if found.__module__.startswith("api_service."):
            yield found
        yield from _kinds(found)


def test_the_table_lists_every_code_with_its_status() -> None:
    documented = {code: int(status) for code, status, _, _ in ROW.findall(DOCUMENT)}
    ours = {kind.code: int(kind.http_status) for kind in _kinds() if not kind.known_codes}
    assert documented == ours


def test_what_may_be_repeated_says_so() -> None:
    kinds = {kind.code: kind for kind in _kinds() if not kind.known_codes}
    for code, status, _, advice in ROW.findall(DOCUMENT):
        # An error may choose the pause anew each time; these two statuses always have one.
        pauses = kinds[code].retry_after is not None or status in ("429", "503")
        assert ("Retry-After" in advice) == pauses, code


def test_no_code_is_a_phrase_of_the_http_library_by_accident() -> None:
    """A new error gets a code of its own: 409 is not `conflict`, nor 503 `service_unavailable`."""
    phrases = {status.phrase.lower().replace(" ", "_") for status in HTTPStatus}
    chosen = {"bad_request", "not_found", "method_not_allowed", "request_timeout"}
    assert {kind.code for kind in _kinds() if not kind.known_codes} & phrases <= chosen
