"""Imports go down the floors of a house, and a new room is covered without an edit."""

import subprocess
import sys
import tomllib
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


@pytest.mark.parametrize(
    ("imported", "may"),
    [
        ("celery_app", True),
        ("database", True),
        ("process.collaborators", True),
        ("process.current", True),
        ("queueing.handover", True),
        ("operation.gauges", False),
        ("worker.worker_process", False),
    ],
)
def test_a_capabilitys_task_may_import_what_it_runs_with(imported: str, may: bool) -> None:
    graph = grimp.build_graph("api_service", cache_dir=None)
    assert f"api_service.{imported}" in graph.modules
    task = "api_service.counting.tasks"
    graph.add_module("api_service.counting")
    graph.add_module(task)
    graph.add_import(importer=task, imported=f"api_service.{imported}")
    contract = FloorsContract(
        "floors",
        session_options={"root_packages": ["api_service"]},
        contract_options={"package": "api_service", "floors": _floors_of("api_service")},
    )
    breaches = contract.check(graph, verbose=False).metadata["breaches"]
    assert breaches == ([] if may else [f"{task} -> api_service.{imported}"])


def _floors_of(package: str) -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [floors] = [c["floors"] for c in settings["contracts"] if c.get("package") == package]
    return list(floors)


@pytest.mark.parametrize("package", ["api_service", "parser_service"])
def test_the_architecture_lists_the_floors_of_the_contract(package: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    [block] = [block for block in text.split("```") if block.strip().startswith("api_service  ")]
    [listed] = [part for part in block.split("\n\n") if part.split()[0] == package]
    assert [
        " ".join(floor.split()) for floor in listed.split(package, 1)[1].split("→")
    ] == _floors_of(package)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("import house.core.rows", "- house.ground -> house.core.rows"),
        (None, "- house has no room cellar: remove it from the floors"),
    ],
)
def test_the_command_refuses_what_breaks_the_contract_and_names_it(
    tmp_path: Path, change: str | None, sentence: str
) -> None:
    _write(tmp_path, {"ground.py": change, "core/rows.py": ""} if change else {})
    floors = FLOORS if change else [*FLOORS, "cellar"]
    (tmp_path / "pyproject.toml").write_text(
        dedent(f"""
        [tool.importlinter]
        root_packages = ["house"]
        contract_types = ["floors: tests.support.floors.FloorsContract"]
        [[tool.importlinter.contracts]]
        name = "Imports go down"
        type = "floors"
        package = "house"
        floors = {floors}
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
    assert sentence in result.stdout
