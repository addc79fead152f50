"""Go on without what fails: one fact that cannot be read must not cost the page.

What failed is a fault of ours. It is kept with the page, and whoever has a log writes it down.
"""

from collections.abc import Callable
from traceback import extract_tb
from typing import TypeVar

from selectolax.lexbor import SelectolaxError

Found = TypeVar("Found")
MAX_LENGTH = 300


class Faults:
    """Collect what failed while a page was read.

    Attributes:
        told: a line for each failure.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def guard(self, name: str, find: Callable[[], Found], otherwise: Found) -> Found:
        """Return what a function finds, or something else if it fails.

        Raises:
            MemoryError: the process has no more memory, which is no fault of the function.
            SelectolaxError: likewise; lexbor fails for no other reason.
        """
        try:
            return find()
        except (MemoryError, SelectolaxError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the page has other facts
            self.told.append(f"{name}: {_place_of(error)}: {error!r}"[:MAX_LENGTH])
            return otherwise


def _place_of(error: Exception) -> str:
    frames = extract_tb(error.__traceback__)
    return f"{frames[-1].name}, line {frames[-1].lineno}" if frames else ""
