"""The Celery tasks, as shells: what they do round a use case."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import pytest
from celery.app.trace import build_tracer

from api_service import tasks
from api_service.celery_app import celery_app
from api_service.process import current as process
from api_service.process.collaborators import CollaboratorRegistry
from api_service.queueing.handover import Handover
from api_service.queueing.sweep import Sweep, SweepCooldown
from api_service.retention import CleanupProgress

T = TypeVar("T")


class Process:
    """Answers with one outcome after the other, whatever it is asked to run."""

    def __init__(self, outcomes: list[Any]) -> None:
        self._outcomes: Iterator[Any] = iter(outcomes)
        self.left = len(outcomes)

    def run_or_log_outage(self, _: Callable[..., Any]) -> Any:
        self.left -= 1
        return next(self._outcomes)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    process.set_current_worker(None)


def test_a_clean_up_goes_on_in_slices_until_nothing_is_left() -> None:
    slices = [
        CleanupProgress(200, is_done=False),
        CleanupProgress(200, is_done=False),
        CleanupProgress(7, is_done=True),
    ]
    here = Process(slices)
    process.set_current_worker(here)
    tasks.cleanup_parse_requests.apply()
    assert here.left == 0


class Given(CollaboratorRegistry):
    """Gives doubles, which are of a subclass of what is asked for."""

    def get(self, kind: type[T]) -> T:
        return next(one for one in self._by_class.values() if isinstance(one, kind))


class Context:
    """Runs use cases on collaborators of the test's own."""

    def __init__(self, *collaborators: object) -> None:
        self._collaborators = Given(*collaborators)

    def run_or_log_outage(self, call: process.CallWithCollaborators[Any]) -> Any:
        return asyncio.run(call(self._collaborators))


class CountedSweep(Sweep):
    """Counts how often it is run."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.runs = 0
        self._fault = fault

    async def run(self) -> None:
        self.runs += 1
        if self._fault:
            raise self._fault


@pytest.mark.parametrize("fault", [None, RuntimeError("of a kind that nothing foresaw")])
def test_sweeps_that_have_piled_up_are_skipped(fault: Exception | None) -> None:
    sweep = CountedSweep(fault)
    process.set_current_worker(Context(sweep, SweepCooldown(3600)))
    for _ in range(3):
        tasks.sweep.apply()
    assert sweep.runs == 1


class KeptHandover(Handover):
    """Keeps what it is asked to start."""

    def __init__(self) -> None:
        self.traces: Mapping[int, str | None] | None = {}

    async def hand_over_pending(
        self, _: Sequence[int], *, traces: Mapping[int, str | None] | None = None
    ) -> None:
        self.traces = traces


@pytest.mark.parametrize(
    ("task", "arguments", "headers", "traces"),
    [
        ("api.parse_url", [1, "u"], {"trace_id": "a"}, {1: "a"}),
        ("api.parse_url", [1, "u"], {}, {1: None}),
        ("api.parse_urls", [[1, 2]], {"trace_ids": ["a", None]}, {1: "a", 2: None}),
        ("api.parse_urls", [[1, 2]], {}, {1: None, 2: None}),
        ("api.parse_urls", [[1, 2]], {"trace_ids": ["a"]}, {1: "a"}),
    ],
)
def test_traces_come_with_the_message_of_an_api_of_any_version(
    task: str, arguments: list[Any], headers: dict[str, Any], traces: dict[int, str | None]
) -> None:
    handover = KeptHandover()
    process.set_current_worker(Context(handover))
    request = {"id": "1", "task": task, "args": arguments, "kwargs": {}, **headers}
    trace_task = build_tracer(task, celery_app.tasks[task], app=celery_app)
    assert trace_task("1", arguments, {}, request).info is None
    assert handover.traces == traces


def test_a_task_without_a_worker_process_says_so() -> None:
    with pytest.raises(RuntimeError, match="not been initialised"):
        tasks.record_pulse.apply(throw=True)
