"""What both services write out for themselves stays equal.

They share no code (decision record 0001), so some of it is there twice: the price is paid
knowingly, and these tests notice if only one copy is mended. Words may differ, code may not.
"""

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api_service import redis_address as api_redis_address
from api_service.page import foreign
from api_service.process import log as api_log
from api_service.process import redis_connection as api_connection
from parser_service import log as parser_log
from parser_service import redis_address as parser_redis_address
from parser_service.markup.text import storable
from parser_service.redis_queue import connection as parser_connection


def _definitions(module: ModuleType) -> dict[str, ast.AST]:
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.body = list(_without_docstring(node.body)) or [ast.Pass()]
    return {
        node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


def _without_docstring(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            yield statement


def _code(module: ModuleType, name: str) -> str:
    return ast.dump(_definitions(module)[name])


@pytest.mark.parametrize(
    "name", ["_UvloopSafe", "_Connection", "_TlsConnection", "_UnixConnection", "open_client"]
)
def test_connections_to_redis_fail_alike(name: str) -> None:
    assert _code(api_connection, name) == _code(parser_connection, name)


def test_the_url_of_redis_is_read_alike() -> None:
    assert inspect.getsource(api_redis_address) == inspect.getsource(parser_redis_address)


@pytest.mark.parametrize("name", ["_name_service", "_dumps", "_text"])
def test_lines_of_the_log_are_made_alike(name: str) -> None:
    assert _code(api_log, name) == _code(parser_log, name)


def test_logs_are_configured_alike_but_for_the_libraries_that_are_silenced() -> None:
    both = [_definitions(module)["configure"] for module in (api_log, parser_log)]
    ours, theirs = (node for node in both if isinstance(node, ast.FunctionDef))
    assert ast.dump(ours.args) == ast.dump(theirs.args)
    shared = [[ast.dump(statement) for statement in node.body[:-1]] for node in (ours, theirs)]
    assert shared[0] == shared[1]
    assert all("WARNING" in ast.dump(node.body[-1]) for node in (ours, theirs))


@example("a\x00b\ud800c")
@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_text_is_made_storable_alike(text: str) -> None:
    made = storable(text)
    assert foreign.storable(text) == made
    assert "\x00" not in made
    made.encode()  # no lone surrogate is left
