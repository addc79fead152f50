"""Tables and plots: on the terminal, and between marks in `docs/performance.md`.

A full run writes into `docs/`, each part into its own section, so that a part may be run
alone. A quick run leaves the docs as they are and writes a copy into `benchmarks/results/`.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.plots import Plot

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
RESULTS = ROOT / "benchmarks" / "results"
PAGE = "performance.md"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns' heads, its rows. The first column is text, the others are figures."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        widths = [
            max(len(row[column]) for row in (self.head, *self.rows))
            for column in range(len(self.head))
        ]

        def line(cells: Sequence[str]) -> str:
            first, *others = zip(cells, widths, strict=True)
            padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
            return f"| {' | '.join(padded)} |"

        rule = ["-" * widths[0], *(f"{'-' * (max(width, 2) - 1)}:" for width in widths[1:])]
        return "\n".join([line(self.head), line(rule), *map(line, self.rows)])


@dataclass(slots=True)
class Section:
    """What a part has found: paragraphs, tables and plots, in order."""

    items: list[str | Table | Plot] = field(default_factory=list)

    def add(self, *items: str | Table | Plot) -> None:
        """Append to it."""
        self.items += items

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.items))


class Report:
    """Where sections go.

    Args:
        publish: whether that is `docs/`.
    """

    def __init__(self, *, publish: bool) -> None:
        self._folder = DOCS if publish else RESULTS
        (self._folder / "images").mkdir(parents=True, exist_ok=True)
        if not publish:
            shutil.copyfile(DOCS / PAGE, RESULTS / PAGE)

    @property
    def page(self) -> Path:
        """The page that is written."""
        return self._folder / PAGE

    def write(self, name: str, section: Section) -> None:
        """Put a section in its place, draw its plots, and print it."""
        for item in section.items:
            if isinstance(item, Plot):
                item.draw(self._folder)
        text = self.page.read_text()
        begin, end = f"<!-- bench: {name} -->\n", f"<!-- end: {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise RuntimeError(f"{self.page} has no place for {name}")
        self.page.write_text(pattern.sub(lambda _: f"{begin}\n{section}\n\n{end}", text))
        print(f"\n{section}\n", flush=True)


def format_figure(value: float) -> str:
    """A number with three digits that mean something, as tables show it."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def format_megabytes(size: float) -> str:
    """Bytes as tables show them, in millions."""
    return f"{size / 1e6:.1f}"


def show_progress(text: str) -> None:
    """Say how far the run has come."""
    print(f"  {text}", flush=True)
