"""Run a few attacks; `make attack` runs all of them."""

import subprocess
import sys

import pytest

from tests.support.system import ROOT


@pytest.mark.slow
def test_a_hostile_site_leaves_its_neighbours_alone() -> None:
    names = ("second", "a meta", "1xx", "chunks", "digits", "instructions")
    run = subprocess.run(
        [sys.executable, "-m", "tests.system.attack", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
