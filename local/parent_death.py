"""Let child processes end with the process that started them."""

import ctypes
import os
import signal
from collections.abc import Callable


def make_die_with_parent(number: int = signal.SIGTERM) -> Callable[[], None]:
    """Return a `preexec_fn` after which the child receives this signal when its parent dies."""
    libc = ctypes.CDLL(None, use_errno=True)
    set_death_signal = 1  # PR_SET_PDEATHSIG, see prctl(2)
    parent = os.getpid()

    def request_signal() -> None:
        libc.prctl(set_death_signal, number)
        if os.getppid() != parent:  # the parent died before prctl
            os.kill(os.getpid(), number)

    return request_signal
