"""Plan the faults of a run: the same seed gives the same faults in the same order.

The first minute has a fault of every sort, which is a verb. Then each kind, a verb and what it
harms, comes once before any comes again.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.system import PARTS, SERVICES

PAUSE_SECONDS = (2.0, 5.0)
LASTS_SECONDS = (1.0, 8.0)

Kind = tuple[str, str]

OF_PROCESSES: list[Kind] = [
    *[("kill", name) for name in SERVICES],
    *[("terminate", name) for name in SERVICES],
    *[("kill", name) for name in ("listener", "parser-http", "celery", "results")],
    *[("stop", name) for name in PARTS],
    *[(verb, name) for verb in ("kill", "stop", "terminate") for name in ("redis", "postgres")],
    *[("reset", "redis"), ("reset", "postgres"), ("empty", "redis")],
]
OF_DATA: list[Kind] = [
    ("nest", "results"),
    *[("half-write", name) for name in ("results", "announcements", "jobs", "messages")],
    *[("retype", name) for name in ("lists", "sets", "strings", "celery")],
    *[("age", "statistics"), ("hold", "snapshot"), ("fill", "disk")],
    *[("jump", name) for name in (*PARTS, "postgres", "redis")],
]
KINDS = OF_PROCESSES + OF_DATA


@dataclass(frozen=True)
class Fault:
    """One fault of the plan.

    Attributes:
        pause: seconds until the next fault begins.
        lasts: seconds until it is undone, if it is undone by itself.
        choice: decides between its forms; at least 0 and less than 1.
    """

    verb: str
    name: str
    pause: float
    lasts: float
    choice: float

    def __str__(self) -> str:
        return f"{self.verb} {self.name}"

    @property
    def is_of_data(self) -> bool:
        """Return whether it harms what servers hold, or the time, and no process."""
        return (self.verb, self.name) in OF_DATA

    def one_of(self, *forms: str) -> str:
        """Return the form that the plan chose."""
        return forms[int(self.choice * len(forms))]


def plan(seed: int) -> Iterator[Fault]:
    """Yield faults without end."""
    source = random.Random(seed)
    kinds = _one_of_each_verb_first(source.sample(KINDS, len(KINDS)))
    while True:
        for verb, name in kinds:
            pause, lasts = source.uniform(*PAUSE_SECONDS), source.uniform(*LASTS_SECONDS)
            yield Fault(verb, name, pause, lasts, source.random())
        kinds = source.sample(KINDS, len(KINDS))


def _one_of_each_verb_first(kinds: list[Kind]) -> list[Kind]:
    first = {verb: (verb, name) for verb, name in reversed(kinds)}.values()
    return sorted(kinds, key=lambda kind: kind not in first)
