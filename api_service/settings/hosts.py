"""Read names of hosts as they stand in a `Host` header, without the port."""

import re
from ipaddress import AddressValueError, IPv6Address, ip_address

_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?")


def read_host_name(text: str) -> str | None:
    """Return a host in its one form: lower case, an IPv6 address short and in brackets.

    A name that ends with a dot is another name here, and no host at all.
    """
    lower = text.lower()
    if lower.startswith("[") and lower.endswith("]"):
        try:
            return None if "%" in lower else f"[{IPv6Address(lower[1:-1]).compressed}]"
        except AddressValueError:
            return None
    return lower if _NAME.fullmatch(lower) else None


def read_bind(text: str) -> str | None:
    """Return the host under which clients reach an address that something listens on."""
    return read_host_name(f"[{text}]" if ":" in text and not text.startswith("[") else text)


def is_loopback(text: str) -> bool:
    """Return whether only this machine can reach an address that something listens on."""
    if text.lower() == "localhost":
        return True
    try:
        return ip_address(text.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def read_host_names(text: str) -> frozenset[str]:
    """Read a list of hosts, separated by commas.

    Raises:
        ValueError: one of them is none; the message says what to write.
    """
    hosts = set()
    for part in filter(None, map(str.strip, text.split(","))):
        if (host := read_bind(part)) is None:
            raise ValueError(
                f"{part} is not a host; write names and addresses without ports, such as "
                f"localhost,192.0.2.1,[::1]"
            )
        hosts.add(host)
    return frozenset(hosts)
