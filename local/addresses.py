"""Check the addresses that the system listens on, and those of the servers that it is given."""

import errno
import re
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from local.errors import StartError

LISTEN_BACKLOG = 2048


def read_address(environment: dict[str, str], prefix: str, default: int) -> tuple[str, int]:
    """Read the host and port that a service listens on from its variables."""
    text = environment.get(f"{prefix}_PORT") or str(default)
    if not (re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65535):
        raise StartError(f"{prefix}_PORT is {text!r}; it must be a whole number from 1 to 65535.")
    host = environment.get(f"{prefix}_HOST") or "127.0.0.1"
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}|\[?[0-9A-Fa-f:.]{2,45}\]?", host):
        raise StartError(
            f"{prefix}_HOST is {host!r}; it must be an address of this machine or a name of one, "
            f"such as 127.0.0.1 or ::1."
        )
    return host.removeprefix("[").removesuffix("]"), int(text)


def http_url(host: str, port: int) -> str:
    """Return the URL of an address."""
    return f"http://{_with_port(host, port)}"


def _with_port(host: str, port: int) -> str:
    """Join both; an address of IPv6 needs brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
        listening.listen(LISTEN_BACKLOG)
    except OSError as error:
        listening.close()
        advice = f"set {variable} to a free port"
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            host_variable = variable.replace("_PORT", "_HOST")
            advice = f"set {host_variable} to an address of this machine"
        raise StartError(
            f"Cannot listen on {_with_port(host, port)} ({error.strerror}); {advice}."
        ) from None
    return listening


def require_free_addresses(wanted: Sequence[tuple[str, int, str]]) -> None:
    """Check that each host and port can be listened on, and that no two are the same.

    Args:
        wanted: hosts, ports, and the variables that name the ports.

    Raises:
        StartError: one cannot be; the message names its variable.
    """
    with ExitStack() as held:
        for host, port, variable in wanted:
            held.enter_context(open_listening_socket(host, port, variable))


def require_listener(endpoints: Sequence[tuple[str, int]], variable: str) -> None:
    """Check that something listens on one of these hosts and ports, unless there are none.

    Raises:
        StartError: nothing listens there.
    """
    reasons = []
    for host, port in endpoints:
        try:
            socket.create_connection((host, port), timeout=5).close()
        except OSError as error:
            reasons.append(f"{_with_port(host, port)} ({error.strerror or error})")
        else:
            return
    if reasons:
        raise StartError(
            f"{variable}: nothing listens on {', '.join(reasons)}; "
            f"start the server or correct the URL."
        )


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
