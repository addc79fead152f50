"""Run a short storm of every kind of fault, in a new order each time."""

import os
import subprocess
import sys
from itertools import islice

import pytest

from tests.support.system import ROOT
from tests.system.chaos.plan import KINDS, Fault, plan
from tests.system.chaos.storms import STORM_SECONDS


def _first(number: int, *, seed: int) -> list[Fault]:
    return list(islice(plan(seed), number))


def test_a_seed_gives_the_same_faults_each_time() -> None:
    assert _first(100, seed=7) == _first(100, seed=7) != _first(100, seed=8)


@pytest.mark.parametrize("seed", range(50))
def test_the_first_minute_has_every_sort_of_fault(seed: int) -> None:
    begins, verbs = 0.0, set()
    for fault in _first(20, seed=seed):
        if begins < STORM_SECONDS:
            verbs.add(fault.verb)
        begins += fault.pause
    assert verbs == {verb for verb, _ in KINDS}


@pytest.mark.parametrize("seed", range(10))
def test_each_kind_of_fault_comes_before_any_comes_again(seed: int) -> None:
    found = [(fault.verb, fault.name) for fault in _first(2 * len(KINDS), seed=seed)]
    assert sorted(found[: len(KINDS)]) == sorted(found[len(KINDS) :]) == sorted(KINDS)


@pytest.mark.slow
def test_a_minute_of_chaos_loses_nothing_and_doubles_nothing() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.system.chaos"],
        cwd=ROOT,
        env=os.environ | {"MINUTES": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
