"""Set the clock of each process by itself, through a library that is preloaded into it."""

import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.system import ROOT

WORDS = (
    "api_service.main",
    "parser_service.main",
    "parser_service.redis_listener",
    "api_service.worker",
    "api_service.worker.results",
    "api_service.worker.beat",
)
"""Each process of the services, by a word of its command line, as in `shifted_clock.c`."""
SERVER_WORDS = ("postgres", "valkey-server")


def can_shift_clocks() -> bool:
    """Return whether the library can be built here."""
    return shutil.which("cc") is not None


class Clocks:
    """The clocks of all processes that start with `environment`.

    Args:
        folder: for the library, and a file for each process; every user may read it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for word in (*WORDS, *SERVER_WORDS):
            self._set(word, 0)
        built = folder / "shifted_clock.so"
        source = ROOT / "tests" / "support" / "shifted_clock.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", built, source], check=True)
        self.environment = {"LD_PRELOAD": str(built), "CLOCK_FOLDER": str(folder)}

    @contextmanager
    def shifted(self, word: str, seconds: int) -> Iterator[None]:
        """Let one process have another time of day during the block."""
        self._set(word, seconds)
        try:
            yield
        finally:
            self._set(word, 0)

    def _set(self, word: str, seconds: int) -> None:
        with (self._folder / word).open("r+b" if (self._folder / word).exists() else "wb") as file:
            file.write(struct.pack("q", seconds))
