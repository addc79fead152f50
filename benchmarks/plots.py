"""Draw small SVG plots that are readable on a light and on a dark page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Halfway between black and white, so that it contrasts with both.
INK = "#7f868e"
COLOURS = ("#3d8fd1", "#e0812b", "#3fa45b", "#a868d6", "#d4575c", "#2fa5a5", "#b0892c", "#7f868e")
STYLE: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "page-parser",  # equal figures give equal files
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "figure.figsize": (6.4, 3.4),
}


@dataclass(frozen=True, slots=True)
class Line:
    """Describe one line of a plot."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """Describe a plot of lines.

    Attributes:
        name: the file name without suffix.
        title: what the plot shows; also its text alternative.
        ticks: the numbers on the horizontal axis; by default matplotlib chooses them.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    log_x: bool = False
    ticks: Sequence[float] = field(default=())
    y_from_zero: bool = True

    def __str__(self) -> str:
        return f"![{self.title}](images/{self.name}.svg)"

    def draw(self, folder: Path) -> None:
        """Write the plot into the folder's `images/`."""
        # Slow to import, and parts without plots do not need it.
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415

        with mpl.rc_context(dict(STYLE)):
            sheet = Figure(layout="constrained")
            axes = sheet.add_subplot()
            for colour, line in zip(COLOURS, self.lines, strict=False):
                style = "--" if line.dashed else "-"
                marker = "o" if len(line.x) < 20 else None
                axes.plot(
                    *(line.x, line.y),
                    label=line.name,
                    color=colour,
                    linestyle=style,
                    marker=marker,
                    markersize=4,
                )
            axes.set(title=self.title, xlabel=self.x_label, ylabel=self.y_label)
            if self.log_x:
                axes.set_xscale("log")
            if self.ticks:
                axes.set_xticks(self.ticks, [f"{tick:g}" for tick in self.ticks])
                axes.minorticks_off()
            if self.y_from_zero:
                axes.set_ylim(bottom=0)
            axes.grid(visible=True)
            axes.legend()
            sheet.savefig(
                folder / "images" / f"{self.name}.svg",
                transparent=True,
                metadata={"Date": None, "Creator": None},
            )
