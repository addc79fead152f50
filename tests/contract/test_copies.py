"""What both services write out for themselves stays equal.

They share no code (decision record 0001), so some of it is there twice: the price is paid
knowingly, and these tests notice if only one copy is mended. Words may differ, code may not.
"""

import ast
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api_service import redis_address as api_redis_address
from api_service.page import foreign
from api_service.process import log as api_log
from api_service.process import redis_connection as api_connection
from api_service.settings import kinds as api_kinds
from api_service.settings import sentences as api_sentences
from parser_service import log as parser_log
from parser_service import redis_address as parser_redis_address
from parser_service.markup.text import make_storable_text
from parser_service.redis_queue import connection as parser_connection
from parser_service.settings import kinds as parser_kinds
from parser_service.settings import sentences as parser_sentences


def _definitions(module: ModuleType) -> dict[str, ast.AST]:
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.body = list(_without_docstring(node.body)) or [ast.Pass()]
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def _without_docstring(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            yield statement


def _code(module: ModuleType, name: str) -> str:
    return ast.dump(_definitions(module)[name])


@pytest.mark.parametrize(
    "name",
    [
        "_UvloopSafe",
        "_Connection",
        "_TlsConnection",
        "_UnixConnection",
        "make_redis_client",
        "ping_for_refusal_reason",
    ],
)
def test_connections_to_redis_fail_alike(name: str) -> None:
    assert _code(api_connection, name) == _code(parser_connection, name)


def test_the_url_of_redis_is_read_alike() -> None:
    assert inspect.getsource(api_redis_address) == inspect.getsource(parser_redis_address)


def test_settings_are_explained_alike() -> None:
    assert inspect.getsource(api_kinds) == inspect.getsource(parser_kinds)
    ours = inspect.getsource(api_sentences).replace("api_service", "parser_service")
    assert ours == inspect.getsource(parser_sentences)


@pytest.mark.parametrize("name", ["_make_service_processor", "_dumps", "_str_or_type_name"])
def test_lines_of_the_log_are_made_alike(name: str) -> None:
    assert _code(api_log, name) == _code(parser_log, name)


@pytest.mark.parametrize("module", [api_log, parser_log])
def test_a_traceback_in_the_log_shows_no_values(module: ModuleType) -> None:
    """In a process of its own, whose log may be set up."""
    program = f"""
import structlog
from {module.__name__} import configure

def fail(url):
    raise LookupError("nothing here")

configure("test", "info")
try:
    fail("https://a.example/?key=" + "sec" + "ret")
except LookupError:
    structlog.get_logger().exception("failed")
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    [line] = map(json.loads, run.stdout.splitlines())
    assert [frame["name"] for frame in line["exception"][0]["frames"]] == ["<module>", "fail"]
    assert "secret" not in run.stdout


class Unspeakable:
    """An object that cannot be written down."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def _itself() -> list[object]:
    itself: list[object] = []
    itself.append(itself)
    return itself


def _nested() -> object:
    value: object = 1
    for _ in range(10_000):
        value = [value]
    return value


ANYTHING = st.recursive(
    st.none()
    | st.integers()
    | st.floats()
    | st.binary()
    | st.text(st.characters(codec=None, exclude_categories=()))
    | st.builds(lambda: 10**5000)
    | st.sampled_from([2**64, "\ud800", Unspeakable(), _itself(), object()]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=5,
)


@pytest.mark.parametrize("module", [api_log, parser_log])
@example({"job_id": 2**64, "event": "page fetched"})
@example({"error": "\ud800"})
@example({"value": _nested()})
@given(st.dictionaries(st.text(st.characters(codec=None, exclude_categories=())), ANYTHING))
def test_a_line_of_the_log_is_one_line_of_json_whatever_it_is_about(
    module: ModuleType, event: dict[str, object]
) -> None:
    line = module._dumps(event)
    assert "\n" not in line
    assert len(json.loads(line)) <= len(event)
    line.encode()


def test_logs_are_configured_alike_but_for_the_libraries_that_are_silenced() -> None:
    both = [_definitions(module)["configure"] for module in (api_log, parser_log)]
    ours, theirs = (node for node in both if isinstance(node, ast.FunctionDef))
    assert ast.dump(ours.args) == ast.dump(theirs.args)
    shared = [[ast.dump(statement) for statement in node.body[:-1]] for node in (ours, theirs)]
    assert shared[0] == shared[1]
    assert len({ast.dump(_definitions(module)["_Output"]) for module in (api_log, parser_log)}) == 1
    assert all("WARNING" in ast.dump(node.body[-1]) for node in (ours, theirs))


@example("a\x00b\ud800c")
@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_text_is_made_storable_alike(text: str) -> None:
    made = make_storable_text(text)
    assert foreign.make_storable_text(text) == made
    assert "\x00" not in made
    made.encode()  # no lone surrogate is left
