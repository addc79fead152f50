"""Run a short storm of every kind of fault, in a new order each time."""

import os
import subprocess
import sys

import pytest

from tests.support.system import ROOT


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
