"""Rules of the house that no linter knows. Run by `make check`.

- Only `database.py` commits.
- Only `enqueue.py` publishes tasks.
- `alembic/` has no `__init__.py`: it would hide the library of the same name.
- No module is both run with `-m` and imported.
- No drawer modules.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("api_service", "parser_service", "local", "benchmarks")

ONLY_IN = {
    r"\.commit\(": "api_service/database.py",
    r"\.(apply_async|send_task|delay)\(": "api_service/queueing/enqueue.py",
}
RUN_WITH_M = (
    "api_service.worker.results",
    "api_service.worker",
    "api_service.worker.beat",
    "parser_service.redis_listener",
    "parser_service.sandbox.child",
    "local.__main__",
)
DRAWERS = {"utils", "helpers", "common", "manager", "misc"}


def broken_rules(root: Path) -> Iterator[str]:
    """One sentence for each breach."""
    if (root / "alembic" / "__init__.py").exists():
        yield "alembic/__init__.py hides the library alembic"
    for path in sorted(path for name in PACKAGES for path in (root / name).rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if path.stem in DRAWERS:
            yield f"{name}: say what is in it, not that things are in it"
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for pattern, home in ONLY_IN.items():
                if name != home and re.search(pattern, line):
                    yield f"{name}:{number}: belongs into {home}: {line.strip()}"
            for module in RUN_WITH_M:
                package, _, stem = module.rpartition(".")
                imports = rf"(from|import) {re.escape(module)}\b|from {package} import .*\b{stem}\b"
                if re.match(imports, line):
                    yield f"{name}:{number}: {module} is run with -m and so never imported"


if __name__ == "__main__":
    breaches = list(broken_rules(ROOT))
    print("\n".join(breaches) or "rules kept")
    sys.exit(bool(breaches))
