"""Tell the user what happens, on standard output."""

import contextlib


def say(text: object) -> None:
    """Print a line at once; drop it if there is no room for it, since the system goes on."""
    with contextlib.suppress(OSError):
        print(text, flush=True)
