"""Name the counters of attempts: what is limited, to how many, in how long."""

import hashlib
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address


@dataclass(frozen=True, slots=True)
class AttemptCounter:
    """Limit the attempts of one subject.

    Attributes:
        subject: who tries, and at what.
        limit: attempts in one window.
        seconds: of the window, which begins with the first attempt.
    """

    subject: str
    limit: int
    seconds: int


def login_counters(email: str, address: str) -> tuple[AttemptCounter, ...]:
    """Return what one attempt at an account's password takes from.

    The account's own limit is far higher than that of the account and one address: somebody who
    guesses from one address does not lock the owner out at another.
    """
    account, network = _digest(email), network_of(address)
    return (
        AttemptCounter(f"login:both:{account}:{network}", limit=10, seconds=300),
        AttemptCounter(f"login:address:{network}", limit=100, seconds=300),
        AttemptCounter(f"login:account:{account}", limit=1000, seconds=3600),
    )


def registration_counters(address: str) -> tuple[AttemptCounter, ...]:
    """Return what one registration takes from."""
    return (AttemptCounter(f"register:{network_of(address)}", limit=1000, seconds=3600),)


def network_of(address: str) -> str:
    """Return what stands for one client: its IPv4 address, or the /64 that it chooses IPv6 from."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return _digest(address)
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found)


def _digest(text: str) -> str:
    """Return a short name, which may be as long and as odd as it likes, and is personal data."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]
