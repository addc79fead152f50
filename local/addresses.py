"""Addresses and ports: those that the system listens on, and those it is told to use."""

import socket
from urllib.parse import urlsplit

from local.errors import StartError

BACKLOG = 2048


def read_address(environment: dict[str, str], prefix: str, default: int) -> tuple[str, int]:
    """Read the host and port that a service listens on from its variables."""
    text = environment.get(f"{prefix}_PORT") or str(default)
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise StartError(f"{prefix}_PORT is {text!r}, which is no port number.")
    return environment.get(f"{prefix}_HOST") or "127.0.0.1", int(text)


def open_listening_socket(host: str, port: int, variable: str) -> socket.socket:
    """A socket that listens there.

    Raises:
        StartError: somebody else does.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it. Servers set it themselves on sockets that they made themselves;
    # without it, the second part of an answer waits 40 ms for the first to be acknowledged.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise StartError(
            f"Port {port} of {host} cannot be listened on ({error.strerror}); "
            f"set {variable} to another."
        ) from None
    return listening


def require_listener(url: str, variable: str) -> None:
    """Refuse a URL that is none, or at which nobody listens."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise StartError(f"{variable} is not a URL.") from None
    if not parts.scheme:
        raise StartError(f"{variable} is not a URL.")
    if host is None:
        return  # a Unix socket: the migration will tell
    port = port or (5432 if variable == "DATABASE_URL" else 6379)
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError as error:
        raise StartError(
            f"{variable} names {host}:{port}, where nobody answers ({error.strerror or error})."
        ) from None


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
