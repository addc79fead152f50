"""Imports go down the floors of a house, and a new room is covered without an edit."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import grimp
import pytest

from tests.support.floors import FloorsContract
from tests.support.system import ROOT

FLOORS = ["main", "wiring", "*", "core | service", "ground"]
HOUSE = {
    "main.py": "import house.wiring",
    "wiring.py": "import house.batches.routes, house.accounts",
    "batches/__init__.py": "",
    "batches/routes.py": "from house.batches import models",
    "batches/models.py": "from house.core import rows",
    "accounts/__init__.py": "from house import ground",
    "core/__init__.py": "",
    "core/rows.py": "import house.ground",
    "service.py": "from house import ground",
    "ground.py": "import json",
}


Breaches = Callable[..., list[str]]
"""Find the breaches of a list of floors in the house, with modules changed by keyword, such as
`core__rows` for `core/rows.py`."""


def _write(folder: Path, changes: dict[str, str]) -> None:
    for path, text in (HOUSE | {"__init__.py": ""} | changes).items():
        (folder / "house" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "house" / path).write_text(text)


@pytest.fixture
def breaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Breaches:
    def found(floors: list[str], **changes: str) -> list[str]:
        paths = {f"{name.replace('__', '/')}.py": text for name, text in changes.items()}
        for path in paths:
            room = Path(path).parent
            if room != Path() and f"{room}/__init__.py" not in HOUSE:
                _write(tmp_path, {f"{room}/__init__.py": ""})
        _write(tmp_path, paths)
        monkeypatch.syspath_prepend(tmp_path)
        graph = grimp.build_graph("house", cache_dir=None)
        contract = FloorsContract(
            "floors",
            session_options={"root_packages": ["house"]},
            contract_options={"package": "house", "floors": floors},
        )
        check = contract.check(graph, verbose=False)
        listed: list[str] = check.metadata["breaches"]
        assert check.kept == (not listed)
        return listed

    return found


def test_imports_that_go_down_are_kept(breaches: Breaches) -> None:
    assert breaches(FLOORS) == []


@pytest.mark.parametrize(
    ("module", "text", "breach"),
    [
        # Up.
        ("ground", "import house.service", "house.ground -> house.service"),
        ("core__rows", "from house import main", "house.core.rows -> house.main"),
        ("service", "from house.batches import models", "house.service -> house.batches.models"),
        ("accounts__models", "import house.wiring", "house.accounts.models -> house.wiring"),
        # Within a function, or for types only.
        ("ground", "def f():\n    from house import core", "house.ground -> house.core"),
        # Across.
        ("service", "from house.core import rows", "house.service -> house.core.rows"),
        ("core__rows", "import house.service", "house.core.rows -> house.service"),
        # One capability of another.
        (
            "batches__routes",
            "from house.accounts import __doc__",
            "house.batches.routes -> house.accounts",
        ),
        # A room and a module that the contract does not name.
        ("webhooks__routes", "import house.accounts", "house.webhooks.routes -> house.accounts"),
        ("webhooks__routes", "import house.wiring", "house.webhooks.routes -> house.wiring"),
        ("webhooks", "import house.batches.models", "house.webhooks -> house.batches.models"),
        ("core__rows", "import house.accounts", "house.core.rows -> house.accounts"),
    ],
)
def test_an_import_up_or_across_is_found(
    breaches: Breaches, module: str, text: str, breach: str
) -> None:
    assert breaches(FLOORS, **{module: text}) == [breach]


@pytest.mark.parametrize("text", ["from house.core import rows", "import house.ground"])
def test_a_new_room_may_import_what_lies_below_the_capabilities(
    breaches: Breaches, text: str
) -> None:
    assert breaches(FLOORS, webhooks__routes=text, wiring="import house.webhooks.routes") == []


def test_a_named_room_may_share_the_floor_of_those_that_are_not_named(breaches: Breaches) -> None:
    floors = ["main", "wiring", "batches | *", "core | service", "ground"]
    assert breaches(floors, batches__routes="import house.accounts") == [
        "house.batches.routes -> house.accounts"
    ]
    assert breaches(floors, batches__routes="import house.core") == []


def test_the_command_refuses_the_import_and_names_it(tmp_path: Path) -> None:
    _write(tmp_path, {"ground.py": "import house.core.rows", "core/rows.py": ""})
    (tmp_path / "pyproject.toml").write_text(
        dedent(f"""
        [tool.importlinter]
        root_packages = ["house"]
        contract_types = ["floors: tests.support.floors.FloorsContract"]
        [[tool.importlinter.contracts]]
        name = "Imports go down"
        type = "floors"
        package = "house"
        floors = {FLOORS}
        """)
    )
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    result = subprocess.run(
        [sys.executable, "-c", command],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    assert "- house.ground -> house.core.rows" in result.stdout
