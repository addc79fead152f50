"""Check the addresses that the system listens on, and those of the servers that it is given."""

import socket
from urllib.parse import urlsplit

from local.errors import StartError

BACKLOG = 2048


def read_address(environment: dict[str, str], prefix: str, default: int) -> tuple[str, int]:
    """Read the host and port that a service listens on from its variables."""
    text = environment.get(f"{prefix}_PORT") or str(default)
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise StartError(f"{prefix}_PORT must be 1-65535, not {text!r}.")
    host = environment.get(f"{prefix}_HOST") or "127.0.0.1"
    return host.removeprefix("[").removesuffix("]"), int(text)


def http_url(host: str, port: int) -> str:
    """Return the URL of an address; one of IPv6 needs brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def open_listening_socket(host: str, port: int, variable: str) -> socket.socket:
    """Return a socket that listens on this address.

    Raises:
        StartError: the address cannot be listened on; the message names the variable to change.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit this option. Without it, the second part of an answer waits 40 ms until
    # the first is acknowledged. A server sets it only on a socket that it opened itself.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise StartError(
            f"Cannot listen on {host}:{port} ({error.strerror}); set {variable} to a free port."
        ) from None
    return listening


def require_listener(url: str, variable: str) -> None:
    """Check that a value is a URL and that something listens on its host and port.

    Raises:
        StartError: it is not a URL, or nothing listens there.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise StartError(f"{variable} must be a URL.") from None
    if not parts.scheme:
        raise StartError(f"{variable} must be a URL.")
    if host is None:
        return  # a Unix socket: the migration reports whether it works
    port = port or (5432 if variable == "DATABASE_URL" else 6379)
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError as error:
        raise StartError(
            f"{variable}: nothing listens on {host}:{port} ({error.strerror or error}); "
            f"start the server or correct the URL."
        ) from None


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
