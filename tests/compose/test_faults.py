"""In containers also, a service that is killed under load loses no job.

One stack is scaled to three parsers and two workers, under steady load. Its client repeats a
request, with the same `Idempotency-Key`, if its connection broke or the answer says so.
"""

import contextlib
import secrets
import threading
from collections.abc import Iterator
from http import HTTPStatus
from time import monotonic, sleep

import httpx
import pytest

from tests.compose.stack import SITE, Stack
from tests.compose.test_compose import assert_parsed, results

pytestmark = pytest.mark.compose

SCALE = ("--scale", "parser=3", "--scale", "worker=2")
SERVICES = ("api", "worker", "beat", "parser", "redis", "db")
PERIOD = 0.1


class Load:
    """Submit pages steadily from a thread of its own."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.ids: list[int] = []
        self.undeclared: set[int] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        number, name = 0, secrets.token_hex(4)
        with self._stack.client() as client:
            while not self._stopping.is_set():
                with contextlib.suppress(httpx.TransportError):
                    answer = client.post(
                        "/parse_async",
                        json={"url": f"{SITE}/page?{name}-{number}"},
                        headers={"Idempotency-Key": f"{name}-{number}"},
                    )
                    if answer.status_code == HTTPStatus.ACCEPTED:
                        self.ids.append(answer.json()["request_id"])
                        number += 1
                    # 409: its first request, cut off, is being accepted right now.
                    elif answer.status_code not in (409, 503):
                        self.undeclared.add(answer.status_code)
                sleep(PERIOD)


@pytest.fixture
def load(stack: Stack) -> Iterator[Load]:
    stack.up(*SCALE)
    load = Load(stack)
    load.start()
    yield load
    load.stop()


def _accepts_again(load: Load) -> None:
    before, deadline = len(load.ids), monotonic() + 60
    while len(load.ids) < before + 20:
        assert monotonic() < deadline
        sleep(0.1)


def _all_ended_once(stack: Stack, load: Load) -> None:
    assert load.undeclared == set()
    assert len(set(load.ids)) == len(load.ids)
    with stack.client() as client:
        assert_parsed(results(client, load.ids, seconds=90))


def test_no_service_that_is_killed_under_load_loses_a_job(stack: Stack, load: Load) -> None:
    for service in SERVICES:
        _accepts_again(load)
        stack.compose("kill", service)
        sleep(2)
        stack.up(*SCALE)
    _accepts_again(load)
    load.stop()
    _all_ended_once(stack, load)


def test_a_restart_of_all_under_load_loses_no_job(stack: Stack, load: Load) -> None:
    _accepts_again(load)
    stack.compose("restart")
    stack.up(*SCALE)
    _accepts_again(load)
    load.stop()
    _all_ended_once(stack, load)
