"""Read REDIS_URL once, for all clients of Redis.

redis-py and kombu read a URL each in its own way: one of them used to speak TLS where the other did
not. So neither gets the URL: both get the keyword arguments of redis-py's connections from here.
The other service has the same module.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

DEFAULT_PORT = 6379
MEDIUM_BY_SCHEME: dict[str, Literal["tcp", "tls", "unix"]] = {
    "redis": "tcp",
    "rediss": "tls",
    "unix": "unix",
}


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Tell each client where Redis is and how to log in.

    Attributes:
        medium: what the connection runs on.
        shown: the address without credentials, for messages.
        options: keyword arguments for redis-py's connections, blocking or not.
    """

    medium: Literal["tcp", "tls", "unix"]
    shown: str
    options: Mapping[str, Any] = field(repr=False)

    @property
    def tcp_endpoints(self) -> list[tuple[str, int]]:
        """The host and port; none if Redis is on a Unix socket."""
        return [] if self.medium == "unix" else [(self.options["host"], self.options["port"])]


def parse_redis_url(url: str, ca_bundle: Path | None = None) -> RedisAddress:
    """Translate a URL.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        ca_bundle: certificates to trust as well as the system's.

    Raises:
        ValueError: the URL has a part that cannot be used; the message shows no password.
    """
    parts, port = _split_or_refuse(url)
    medium = MEDIUM_BY_SCHEME[parts.scheme]
    options = _query_options(parts.query, has_tls=medium == "tls")
    if parts.username:
        options["username"] = unquote(parts.username)
    if parts.password:
        options["password"] = unquote(parts.password)
    if medium == "unix":
        if parts.hostname or not parts.path.strip("/"):
            raise ValueError("a socket's path is missing; write unix:///run/redis/redis.sock")
        options = {"db": 0, "path": unquote(parts.path)} | options
        return RedisAddress(medium, f"unix://{parts.path}", options)
    number = _database_number(parts.path, options.get("db"))
    host = unquote(parts.hostname or "127.0.0.1")
    options |= {"host": host, "port": port, "db": number}
    if medium == "tls":
        trusted = {"ssl_ca_certs": str(ca_bundle)} if ca_bundle else {}
        options = {"ssl_cert_reqs": "required", "ssl_check_hostname": True} | trusted | options
    shown_host = f"[{host}]" if ":" in host else host
    return RedisAddress(medium, f"{parts.scheme}://{shown_host}:{port}/{number}", options)


def _split_or_refuse(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(
            "host and port cannot be read; write redis://user:password@host:6379/0, "
            "with %23, %2F, %3A and %40 for # / : @ in a password"
        ) from None
    if parts.scheme not in MEDIUM_BY_SCHEME or "://" not in url:
        raise ValueError(
            "not a Redis URL; write redis://host:6379/0, or rediss:// with TLS, "
            "or unix:///path/of/redis.sock"
        )
    if "@" in parts.path + parts.query:  # what precedes it may be a part of the password
        raise ValueError(
            "it has an @ after a / or ?; write %2F, %3F and %40 for / ? @ in a password or a name"
        )
    if parts.fragment:
        raise ValueError("it has a #, which ends a URL; write %23 for a # in a password")
    return parts, DEFAULT_PORT if port is None else port


def _database_number(path: str, from_query: int | None) -> int:
    text = path.strip("/")
    if text and not (text.isascii() and text.isdecimal()):
        raise ValueError(
            f"{'/' + text!r} is not the number of a database; write a number, such as /0"
        )
    if text and from_query is not None and int(text) != from_query:
        raise ValueError(f"the path says database {text}, and db={from_query} another; write one")
    return int(text) if text else from_query or 0


def _query_options(query: str, *, has_tls: bool) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        read = _OPTION_READERS.get(name)
        if read is None:
            known = ", ".join(sorted(_OPTION_READERS))
            raise ValueError(f"the option {name} is not known; these are: {known}")
        if name.startswith("ssl_") and not has_tls:
            raise ValueError(f"the option {name} needs TLS; write rediss://")
        try:
            options[name] = read(value)
        except (ValueError, KeyError):
            raise ValueError(f"the option {name} cannot be {value!r}") from None
    return options


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError
    return int(text)


def _existing_file(text: str) -> str:
    if not Path(text).is_file():
        raise ValueError
    return text


def _certificate_requirement(text: str) -> str:
    name = text.removeprefix("CERT_").lower()
    return {"none": "none", "optional": "optional", "required": "required"}[name]


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
        text.lower()
    ]


_OPTION_READERS: Mapping[str, Callable[[str], Any]] = {
    "db": _whole_number,
    "health_check_interval": _whole_number,
    "client_name": str,
    "ssl_ca_certs": _existing_file,
    "ssl_certfile": _existing_file,
    "ssl_keyfile": _existing_file,
    "ssl_cert_reqs": _certificate_requirement,
    "ssl_check_hostname": _boolean,
}
