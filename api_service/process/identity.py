"""Name this process, so that it can be told from all others of the deployment."""

import os
import socket


def process_name() -> str:
    """Return `{host name}:{process id}`."""
    return f"{socket.gethostname()}:{os.getpid()}"
