"""Build and start the stack once for all tests here, and always remove it.

Tests with the marker `compose` need a Docker engine. They run only with `-m compose`, as
`make compose-test` does.
"""

from collections.abc import Iterator

import httpx
import pytest

from tests.compose.stack import Stack, StackError


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "compose: needs a Docker engine; run by `make compose-test`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "compose" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("compose")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def running_stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    stack = Stack()
    failed_before = request.session.testsfailed
    try:
        try:
            stack.start()
        except StackError as error:
            pytest.fail(f"{error}\n{stack.troubles()}", pytrace=False)
        yield stack
        if request.session.testsfailed > failed_before:
            terminal = request.config.pluginmanager.get_plugin("terminalreporter")
            assert isinstance(terminal, pytest.TerminalReporter)
            terminal.write_line(f"\n{stack.troubles()}")
    finally:
        stack.remove()


@pytest.fixture
def stack(running_stack: Stack) -> Stack:
    """Restore the stack to complete and healthy, whatever an earlier test did to it."""
    running_stack.restore()
    return running_stack


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as opened:
        yield opened
