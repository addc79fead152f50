"""Report a run of chaos in Markdown."""

from collections import Counter
from dataclasses import dataclass, field

from tests.support.load import Load

MARKS = ("<!-- chaos: begin -->", "<!-- chaos: end -->")


@dataclass(frozen=True)
class Storm:
    """Hold the figures of one storm of faults.

    Attributes:
        faults: number of faults.
        accepted: requests accepted by the end of the storm, since the start of the run.
        ready: seconds from the end of the last fault until all processes ran again.
        recovery: seconds from then until every accepted request had ended, was leased or queued.
    """

    faults: int
    accepted: int
    ready: float
    recovery: float


@dataclass
class Report:
    """Collect the figures of one run.

    Attributes:
        faults: number of faults of processes and servers, by kind.
        data_faults: number of faults of data, by kind.
        whole_reads: how often a table was read whole while statistics were old.
        notes: what this machine could not do, or not as it should be.
    """

    seed: int
    minutes: float
    faults: Counter[str] = field(default_factory=Counter)
    data_faults: Counter[str] = field(default_factory=Counter)
    storms: list[Storm] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    keys: int = 0
    slowest_answer: float = 0.0
    ended: dict[str, int] = field(default_factory=dict)
    unfinished: int = 0
    slowest_end: float = 0.0
    whole_reads: int = 0
    ends_on_full_disk: int = 0
    notes: set[str] = field(default_factory=set)

    def take(self, load: Load) -> None:
        """Copy what clients received; an undeclared answer is a breach."""
        self.accepted, self.keys = len(load.ids), len(load.by_key)
        self.answers, self.broken = load.answers, load.broken
        self.slowest_answer = load.slowest
        self.breaches += [f"{n} answers {name}" for name, n in load.undeclared.items()]

    def markdown(self) -> str:
        """Return the report; its first line gives the verdict."""
        lost = [breach for breach in self.breaches if breach.endswith("ended 0 times")]
        doubled = [breach for breach in self.breaches if " went from " in breach]
        doubled += [b for b in self.breaches if " ended " in b and b.endswith(" times")]
        doubled = [breach for breach in doubled if breach not in lost]
        ready = max((storm.ready for storm in self.storms), default=0)
        recovery = max((storm.recovery for storm in self.storms), default=0)
        rows = [
            ("requests accepted with 202", f"{self.accepted:,}"),
            ("of these lost, or not ended", f"{max(len(lost), self.unfinished)}"),
            ("ended twice, or moved after their end", f"{len(doubled)}"),
            ("idempotency keys, with one request each", f"{self.keys:,}"),
            ("rows by status in the end", _counts(self.ended)),
            ("slowest return of all processes", f"{ready:.1f} s"),
            ("slowest recovery of accepted requests after that", f"{recovery:.1f} s"),
            ("longest from accepted to ended", f"{self.slowest_end:.1f} s"),
            (
                "slowest answer to a client, the API itself stopped or killed meanwhile",
                f"{self.slowest_answer:.1f} s",
            ),
            ("times that PostgreSQL ended on its full disk", f"{self.ends_on_full_disk}"),
            ("times that a table was read whole by old statistics", f"{self.whole_reads}"),
            ("answers", _counts(self.answers)),
            ("connections cut without an answer (the API killed)", _counts(self.broken)),
        ]
        verdict = "**breaches**" if self.breaches else "nothing lost, nothing doubled"
        number = self.faults.total() + self.data_faults.total()
        run = f"Seed {self.seed}, {self.minutes:g} minutes, {number} faults"
        lines = [
            f"{run}: {verdict}.",
            "",
            "| what | figure |",
            "| --- | --- |",
            *[f"| {name} | {figure} |" for name, figure in rows],
            "",
            f"Faults of processes and servers: {_counts(self.faults)}.",
            "",
            f"Faults of data: {_counts(self.data_faults)}.",
            "",
            *[line for note in sorted(self.notes) for line in (f"Note: {note}.", "")],
            "| storm | faults | accepted so far | processes back, s | recovered, s |",
            "| --- | --- | --- | --- | --- |",
            *[
                f"| {n} | {s.faults} | {s.accepted:,} | {s.ready:.1f} | {s.recovery:.1f} |"
                for n, s in enumerate(self.storms, 1)
            ],
        ]
        if self.breaches:
            lines += ["", "Breaches:", "", *[f"- {breach}" for breach in self.breaches[:50]]]
        return "\n".join(lines)


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{name}: {n:,}" for name, n in sorted(counted.items())) or "none"
