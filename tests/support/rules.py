"""Check the rules of the house that no linter knows. `make check` runs it.

1. Only `database.py` commits, and only `enqueue.py` publishes tasks, however that is written.
2. `alembic/` has no `__init__.py`: it would hide the library of the same name.
3. A module that is run with `-m` is never imported, by tests neither: it would exist twice.
4. No module is a drawer: `utils` says that things are in it, not which.
5. A module has at most 300 lines, a class 200, a function 45.
6. A service keeps few modules at its top: the others are in rooms.
7. A room's `__init__` opens with one sentence, which says what belongs in the room.
8. A room has a folder of tests.
9. A service reads its environment in `config.py` only.
10. Tests take the names of Redis keys from `tests/support/keys.py`.
11. A module that opens connections is imported only where a service opens them.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

SERVICES = {"api_service": "tests/api", "parser_service": "tests/parser"}
"""Each service and its folder of tests."""
PRODUCT = (*SERVICES, "local")
ALL = (*PRODUCT, "benchmarks", "tests")

_ENQUEUE = "api_service/queueing/enqueue.py"
ONLY_IN = {
    "commit": "api_service/database.py",
    "apply_async": _ENQUEUE,
    "delay": _ENQUEUE,
    "send_task": _ENQUEUE,
}
"""Each method and the one module that may name it."""
IMPORTED_ONLY_IN: dict[str, tuple[str, ...]] = {
    "asyncpg": (
        "api_service/database.py",
        "api_service/endings/wakeups.py",
        "api_service/process/notices.py",
    ),
    "socket": (
        "parser_service/fetching/",
        "parser_service/dependencies.py",
        # For the name of the machine.
        "api_service/process/identity.py",
        "parser_service/redis_listener.py",
    ),
    # import-linter holds aiohttp and httpx; these it cannot tell from `http` and `urllib`, or it
    # does not see them because they are not imported.
    "http.client": (),
    "requests": (),
    "urllib.request": (),
    "urllib3": (),
    # They publish when they are called.
    "celery.canvas": (),
    "celery.chain": (),
    "celery.chord": (),
    "celery.group": (),
    "celery.signature": (),
}
"""Each module that opens connections or publishes, and where the services may import it."""
RUN_WITH_M = {
    "api_service.accounts.__main__",
    "api_service.worker.__main__",
    "api_service.worker.beat",
    "api_service.worker.results",
    "local.__main__",
    "parser_service.redis_listener",
    "parser_service.sandbox.child",
}
DRAWERS = {"utils", "helpers", "common", "manager", "misc"}
MODULE_LINES, CLASS_LINES, FUNCTION_LINES = 300, 200, 45
MODULES_AT_THE_TOP = {"api_service": 20, "parser_service": 16}
READS_THE_ENVIRONMENT = {
    # prometheus-client looks for PROMETHEUS_MULTIPROC_DIR itself, while it is imported:
    # a setting of ours would come too late and could differ from it.
    "api_service/metrics/__init__.py",
    "api_service/metrics/exposition.py",
    "parser_service/metrics.py",
}
KEY_NAMES = "tests/support/keys.py"
_KEY = re.compile(r"""["']parser:(tasks|results)""")


def broken_rules(root: Path) -> Iterator[str]:
    """Yield one sentence for each breach."""
    for rule in RULES:
        yield from rule(root)


def lines_in_the_wrong_module(root: Path) -> Iterator[str]:
    """Find commits and publications outside their one module."""
    for path in _modules(root, *PRODUCT, "benchmarks"):
        for line, name in _named_attributes(_parsed(path)):
            home = ONLY_IN.get(name, _name(root, path))
            if _name(root, path) != home:
                yield f"{_name(root, path)}:{line}: {name} belongs in {home}"


def connections_elsewhere(root: Path) -> Iterator[str]:
    """Find imports of what opens connections, outside the modules that open them."""
    for path in _modules(root, *SERVICES):
        for node, imported in _imports(_parsed(path)):
            for module, homes in IMPORTED_ONLY_IN.items():
                if _name(root, path).startswith(homes):
                    continue
                if any(f"{name}.".startswith(f"{module}.") for name in imported):
                    place = f"{_name(root, path)}:{node.lineno}"
                    where = ", ".join(homes) or "no service: use what a room provides for it"
                    yield f"{place}: imports {module}, which belongs in {where}"


def hidden_alembic(root: Path) -> Iterator[str]:
    """Find a package that hides the library alembic."""
    if (root / "alembic" / "__init__.py").exists():
        yield "alembic/__init__.py hides the library alembic"


def imported_entries(root: Path) -> Iterator[str]:
    """Find imports of modules that are run with `-m`."""
    for path in _modules(root, *ALL):
        for node, imported in _imports(_parsed(path)):
            for entry in sorted(RUN_WITH_M & imported):
                place = f"{_name(root, path)}:{node.lineno}"
                yield f"{place}: imports {entry}, which is run with -m: move what it needs out"


def drawers(root: Path) -> Iterator[str]:
    """Find modules and rooms whose name does not say what is in them."""
    for path in _modules(root, *ALL):
        named = path.parent if path.name == "__init__.py" else path
        if named.stem in DRAWERS:
            yield f"{_name(root, path)}: say what is in it, not that things are in it"


def long_code(root: Path) -> Iterator[str]:
    """Find modules, classes and functions over their number of lines."""
    for path in _modules(root, *PRODUCT):
        lines = len(path.read_text().splitlines())
        if lines > MODULE_LINES:
            yield f"{_name(root, path)}: {lines} lines, at most {MODULE_LINES}"
        for node in ast.walk(_parsed(path)):
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            limit = CLASS_LINES if isinstance(node, ast.ClassDef) else FUNCTION_LINES
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > limit:
                place = f"{_name(root, path)}:{node.lineno}"
                yield f"{place}: {node.name} has {lines} lines, at most {limit}"


def crowded_services(root: Path) -> Iterator[str]:
    """Find services with too many modules outside rooms."""
    for service, limit in MODULES_AT_THE_TOP.items():
        modules = {path.stem for path in (root / service).glob("*.py")} - {"__init__"}
        if len(modules) > limit:
            yield f"{service}/: {len(modules)} modules at the top, at most {limit}"


def silent_rooms(root: Path) -> Iterator[str]:
    """Find rooms whose `__init__` does not open with one sentence."""
    for _, room in _rooms(root):
        story = ast.get_docstring(_parsed(room / "__init__.py")) or ""
        opening = " ".join(story.partition("\n\n")[0].split())
        if not re.fullmatch(r"[^.]([^.]|\.\S)*\.", opening):
            yield f"{_name(root, room)}/__init__.py: open with one sentence: what belongs in here?"


def untested_rooms(root: Path) -> Iterator[str]:
    """Find rooms without a folder of tests."""
    for tests, room in _rooms(root):
        folder = root / tests / room.name
        if not any(folder.glob("test_*.py")):
            yield f"{_name(root, room)}/: has no tests in {_name(root, folder)}/"


def readers_of_the_environment(root: Path) -> Iterator[str]:
    """Find modules that look into the environment themselves."""
    homes = {f"{service}/config.py" for service in SERVICES} | READS_THE_ENVIRONMENT
    for path in _modules(root, *SERVICES):
        if _name(root, path) in homes:
            continue
        for line in _environment_reads(_parsed(path)):
            yield f"{_name(root, path)}:{line}: reads the environment: make it a setting"


def keys_by_hand(root: Path) -> Iterator[str]:
    """Find names of Redis keys that a test writes out."""
    for path in _modules(root, "tests"):
        if _name(root, path) == KEY_NAMES:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if _KEY.search(line):
                yield f"{_name(root, path)}:{number}: take the key from {KEY_NAMES}"


RULES: tuple[Callable[[Path], Iterator[str]], ...] = (
    lines_in_the_wrong_module,
    hidden_alembic,
    imported_entries,
    drawers,
    long_code,
    crowded_services,
    silent_rooms,
    untested_rooms,
    readers_of_the_environment,
    keys_by_hand,
    connections_elsewhere,
)


def _modules(root: Path, *packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (root / package).rglob("*.py"))


def _rooms(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield each room of a service, with the service's folder of tests."""
    for service, tests in SERVICES.items():
        for opening in sorted((root / service).glob("*/__init__.py")):
            yield tests, opening.parent


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _parsed(path: Path) -> ast.Module:
    return _syntax_tree(path.read_text())


@cache
def _syntax_tree(text: str) -> ast.Module:
    return ast.parse(text)


def _imports(module: ast.Module) -> Iterator[tuple[ast.stmt, set[str]]]:
    """Yield each import with the dotted names that it may load."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield node, {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node, {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}


def _environment_reads(module: ast.Module) -> Iterator[int]:
    """Yield the lines that use the environment, or import what would."""
    names = {"environ", "environb", "getenv", "getenvb"}
    yield from (line for line, name in _named_attributes(module) if name in names)
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module in ("os", "posix"):
            yield from (node.lineno for alias in node.names if alias.name in names | {"*"})


def _named_attributes(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and name of each attribute, by a dot or by `getattr`."""
    for node in ast.walk(module):
        match node:
            case ast.Attribute(attr=name):
                yield node.lineno, name
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
                yield node.lineno, name


if __name__ == "__main__":
    breaches = list(broken_rules(ROOT))
    print("\n".join(breaches) or "rules kept")
    sys.exit(bool(breaches))
