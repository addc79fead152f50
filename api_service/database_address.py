"""Read DATABASE_URL once, for all clients of PostgreSQL.

SQLAlchemy, asyncpg and libpq each know options that the others refuse. So no client gets the URL:
SQLAlchemy, Alembic and the listener all get arguments for `asyncpg.connect` from here.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

SCHEMES = ("postgres", "postgresql", "postgresql+asyncpg")
ENGINE_URL = "postgresql+asyncpg://"
"""The URL for SQLAlchemy, which finds everything else in the arguments."""
TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
TARGET_SESSION_ATTRS = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")
CONNECTION_OPTIONS = ("host", "port", "user", "password", "dbname", "database")
TLS_FILE_OPTIONS = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
TLS_OPTIONS = (
    *("sslmode", *TLS_FILE_OPTIONS, "sslpassword", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
)
INTEGER_OPTIONS = ("connect_timeout", "statement_cache_size", "prepared_statement_cache_size")
SERVER_SETTING_OPTIONS = ("application_name", "options")
OTHER_OPTIONS = ("ssl", "passfile", "target_session_attrs", "fallback_application_name")


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Tell each client where PostgreSQL is and how to log in.

    Attributes:
        driver_arguments: keyword arguments for `asyncpg.connect`.
        engine_arguments: `connect_args` for SQLAlchemy's engine.
    """

    driver_arguments: Mapping[str, Any] = field(repr=False)
    engine_arguments: Mapping[str, Any] = field(repr=False)

    @property
    def tcp_endpoints(self) -> list[tuple[str, int]]:
        """The hosts and ports, without those that are folders of Unix sockets."""
        hosts: list[str] = self.driver_arguments.get("host", [])
        ports: list[int] = self.driver_arguments["port"] if hosts else []
        pairs = zip(hosts, ports, strict=True)
        return [(host, port) for host, port in pairs if not host.startswith("/")]


def read_database_url(url: str, ca_bundle: Path | None = None) -> DatabaseAddress:
    """Translate a URL as libpq or SQLAlchemy write it.

    Args:
        url: `postgresql://`, `postgres://` or `postgresql+asyncpg://`.
        ca_bundle: certificates to trust if the URL names none. Without an `sslmode`, the server's
            certificate is then verified, and must name the host.

    Raises:
        ValueError: the URL has a part that cannot be used; the message shows no password.
    """
    parts = _split(url)
    options = _read_options(parts.query)
    authority, _, netloc = parts.netloc.rpartition("@")
    user, has_password, password = authority.partition(":")
    arguments: dict[str, Any] = {
        "user": unquote(user) or options.get("user"),
        "password": unquote(password) if has_password else options.get("password"),
        "database": unquote(parts.path.strip("/"))
        or options.get("dbname")
        or options.get("database"),
        "passfile": options.get("passfile"),
        "target_session_attrs": options.get("target_session_attrs"),
        "timeout": options.get("connect_timeout") or None,  # 0: no limit of the URL's own
        "statement_cache_size": options.get("statement_cache_size"),
    }
    arguments |= _hosts(netloc, options) | _tls(options, ca_bundle)
    arguments["server_settings"] = _server_settings(options)
    driver = {name: value for name, value in arguments.items() if value not in (None, "", {})}
    engine = dict(driver)
    if (size := options.get("prepared_statement_cache_size")) is not None:
        engine["prepared_statement_cache_size"] = size
    return DatabaseAddress(driver, engine)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("its host cannot be read") from None
    if parts.scheme not in SCHEMES or "://" not in url:
        raise ValueError("not a PostgreSQL URL; write postgresql+asyncpg://user:password@host/name")
    if "@" in parts.path + parts.query:  # what precedes it may be a part of the password
        raise ValueError(
            "it has an @ after a / or ?; write %2F, %3F and %40 for / ? @ in a password or a name"
        )
    if parts.fragment:
        raise ValueError("it has a #, which ends a URL; write %23 for a # in a password")
    if "/" in parts.path[1:]:
        raise ValueError("its path has a second /; write %2F for a / in a password or name")
    return parts


def _read_options(query: str) -> dict[str, Any]:
    """Read a URL's options; refuse unknown ones, wrong values and files that do not exist."""
    given: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in parse_qsl(query, keep_blank_values=True):
        given[name].append(value)
    known = (
        *CONNECTION_OPTIONS,
        *TLS_OPTIONS,
        *INTEGER_OPTIONS,
        *SERVER_SETTING_OPTIONS,
        *OTHER_OPTIONS,
    )
    for name in given:
        if name not in known:
            raise ValueError(
                f"the option {name} is not known; these are: {', '.join(sorted(known))}"
            )
    # Only hosts may be given more than once, which is how SQLAlchemy writes several.
    options: dict[str, Any] = {name: values[-1] for name, values in given.items()}
    if "host" in given:
        options["host"] = ",".join(given["host"])
    for name in INTEGER_OPTIONS:
        if name in options:
            options[name] = _whole_number(name, options[name])
    _check_choice(options, "sslmode", TLS_MODES)
    _check_choice(options, "target_session_attrs", TARGET_SESSION_ATTRS)
    _check_choice(options, "sslnegotiation", ("postgres", "direct"))
    for name in TLS_FILE_OPTIONS:
        if name in options and options[name] != "system" and not Path(options[name]).is_file():
            raise ValueError(f"the option {name} names {options[name]!r}, which is not a file")
    return options


def _check_choice(options: Mapping[str, str], name: str, choices: tuple[str, ...]) -> None:
    if name in options and options[name] not in choices:
        raise ValueError(f"the option {name} must be one of {', '.join(choices)}")


def _whole_number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"the option {name} must be a whole number, not {text!r}")
    return int(text)


def _hosts(netloc: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return lists of hosts and ports; without a host, the driver looks for a local server."""
    texts = [text for text in (netloc or options.get("host", "")).split(",") if text]
    pairs = [_host_and_port(unquote(text) if netloc else text) for text in texts]
    hosts = [host for host, _ in pairs if host]
    ports = [port for _, port in pairs]
    if "port" in options:
        ports = [_port(text) for text in options["port"].split(",")]
        if len(ports) == 1:
            ports *= max(len(hosts), 1)
    if hosts and len(hosts) != len(ports):
        raise ValueError(f"it has {len(hosts)} hosts and {len(ports)} ports")
    if not hosts:
        return {"port": ports[0]} if ports and ports[0] else {}
    return {"host": hosts, "port": [port or 5432 for port in ports]}


def _host_and_port(text: str) -> tuple[str, int | None]:
    if text.startswith("/") or (text.count(":") > 1 and not text.startswith("[")):
        return text, None  # a Unix socket's folder, or an IPv6 address without a port
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    return host, _port(port) if port else None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError(
            "the port must be 1-65535; write %23, %2F, %3A and %40 for # / : @ in a password"
        )
    return int(text)


def _tls(options: Mapping[str, Any], ca_bundle: Path | None) -> dict[str, Any]:
    """Return what asyncpg takes: it reads files of certificates from a URL only."""
    chosen = {name: options[name] for name in TLS_OPTIONS if name in options}
    mode = options.get("ssl")
    if mode is not None and mode not in (*TLS_MODES, "true", "false"):
        raise ValueError(f"the option ssl must be one of true, false, {', '.join(TLS_MODES)}")
    if mode in TLS_MODES:
        chosen.setdefault("sslmode", mode)
    if mode == "false":
        chosen.setdefault("sslmode", "disable")
    wants_system = chosen.get("sslrootcert") == "system" or mode == "true"
    if wants_system and ca_bundle is None:
        others = chosen.keys() - {"sslrootcert", "sslmode"}
        if others or chosen.get("sslmode", "verify-full") != "verify-full":
            raise ValueError("with the system's authorities, sslmode can only be verify-full")
        return {"ssl": True}
    if ca_bundle is not None and chosen.get("sslmode") != "disable":
        if chosen.get("sslrootcert", "system") == "system":
            chosen["sslrootcert"] = str(ca_bundle)
        chosen.setdefault("sslmode", "verify-full")
    if not chosen:
        return {}
    return {"dsn": f"postgresql://?{urlencode(chosen, quote_via=quote)}"}


def _server_settings(options: Mapping[str, Any]) -> dict[str, str]:
    settings = {name: options[name] for name in SERVER_SETTING_OPTIONS if name in options}
    if "fallback_application_name" in options:
        settings.setdefault("application_name", options["fallback_application_name"])
    return settings
