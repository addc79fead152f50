"""Cases from public test suites and corpora, which lie outside this project.

They are looked for in `../shared/data`, or where CASES_DIR says. Tests that need them skip
with a word where they are not there: their licences differ, so they are not part of the tree.
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
    """The cases in a file of JSON lines, compressed or not."""
    path = located(name)
    raw = path.read_bytes()
    text = lzma.decompress(raw) if path.suffix == ".xz" else raw
    return [json.loads(line) for line in text.splitlines()]


def located(name: str) -> Path:
    """The path of a file of cases; the test is skipped where it is absent."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"the cases in {name} are not here; set CASES_DIR to where they are")
    return path
