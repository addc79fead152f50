"""Read cases from public test suites and corpora, which are kept outside this project.

Their licences differ from ours, so they are not part of the tree. They are read from
`../shared/data`, or from the folder that CASES_DIR names. Tests that need them skip if they are
absent, and say so.
"""

import json
import lzma
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = Path(os.environ.get("CASES_DIR") or ROOT.parent / "shared" / "data")


def cases(name: str) -> list[dict[str, Any]]:
    """Return the cases in a file of JSON lines, compressed or not."""
    path = located(name)
    raw = path.read_bytes()
    text = lzma.decompress(raw) if path.suffix == ".xz" else raw
    return [json.loads(line) for line in text.splitlines()]


def located(name: str) -> Path:
    """Return the path of a file of cases; skip the test if it is absent."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{name} is absent; set CASES_DIR to the folder that holds the cases")
    return path
