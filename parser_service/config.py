"""Settings of the parser service, read from the environment once per process."""

import re
import sys
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from parser_service.redis_address import RedisAddress, parse_redis_url
from parser_service.settings.kinds import (
    BYTES_PER_GIB,
    AliveFile,
    Bytes,
    CertificateFile,
    FormatInWords,
    Fraction,
    RedisKeyName,
    Seconds,
    TaskQueueName,
    Unit,
    require_network,
    require_separate_results,
)
from parser_service.settings.sentences import explain_error

MIB = 1024 * 1024


class Settings(BaseSettings):
    """Hold every setting; each has a safe default, and `docs/operations.md` lists them all."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    redis_url: str = "redis://127.0.0.1:6379/0"
    """The Redis that all parsers share with the API."""
    redis_ca_bundle: CertificateFile | None = None
    """A file of certificates to trust as well as the system's, for `rediss://`."""
    task_queue: TaskQueueName = "parser:tasks"
    """The list of jobs; the names of other keys begin with it. The same as the API's."""
    result_prefix: RedisKeyName = "parser:results:"
    """The start of the keys of results. The same as the API's."""
    result_ttl: Annotated[int, Field(ge=60, le=2_592_000), Unit("seconds")] = 3600
    """Seconds for which a result is kept under its key."""

    max_result_bytes: Bytes = 64 * MIB
    """Bytes of announced results in Redis above which parsers take no job."""

    fetch_concurrency: Annotated[int, Field(ge=1, le=1024)] = 64
    """Pages in flight at a time: jobs in a listener, synchronous pages in an HTTP side."""
    fetch_allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks that parsers may fetch from although they are not public."""
    fetch_allowed_ports: Annotated[frozenset[int], NoDecode] = frozenset({80, 443})
    """Ports that parsers may connect to, as `80,443,8000-8080`."""
    fetch_timeout: Annotated[Seconds, Field(le=600)] = 30.0
    """Seconds for a whole page: name lookup, connection, redirects, body and parsing."""
    fetch_queue_timeout: Annotated[Seconds, Field(le=60)] = 2.5
    """Seconds that a request of `GET /fetch` may wait for a place and for hosts."""
    fetch_connect_timeout: Annotated[Seconds, Field(le=600)] = 5.0
    fetch_dns_timeout: Annotated[Seconds, Field(le=600)] = 5.0
    fetch_max_body: Annotated[Bytes, Field(ge=1024, le=BYTES_PER_GIB)] = 10 * MIB
    """Bytes of a body after decompression."""
    fetch_body_budget: Annotated[Bytes, Field(ge=MIB, le=64 * BYTES_PER_GIB)] = 48 * MIB
    """Bytes that all bodies over 64 KiB in one half of a parser have together, and one more."""
    fetch_min_rate: Annotated[Bytes, Field(ge=1, le=BYTES_PER_GIB)] = 128 * 1024
    """Bytes a second that a large body must arrive with while others wait for the budget."""
    fetch_max_header: Annotated[Bytes, Field(ge=8192, le=16 * MIB)] = 256 * 1024
    """Bytes of a response's header, and of what comes between two pieces of its body."""
    fetch_max_idle_connections: Annotated[int, Field(ge=0, le=10_000)] = 200
    """Connections to sites that are kept open for the next page, over all sites."""
    fetch_nameservers: Annotated[tuple[str, ...], NoDecode] = ()
    """DNS servers to ask instead of the machine's own, as `address` or `address:port`."""
    fetch_ca_bundle: CertificateFile | None = None
    """A file of certificates to trust instead of the system's."""
    fetch_max_redirects: Annotated[int, Field(ge=0, le=20)] = 5
    follow_refresh: bool = True
    """Whether pages that ask for another one at once (`Refresh`) are followed like redirects."""
    fetch_user_agent: Annotated[
        str,
        Field(pattern=r"^[\x20-\x7e]{1,300}$"),
        FormatInWords("1 to 300 visible ASCII characters"),
    ] = "PageParser/0.1 (self-hosted page parser)"
    """The parser's name for sites; its first word selects the rules of robots.txt."""

    host_max_concurrent: Annotated[int, Field(ge=0, le=100_000)] = 8
    """Requests that one host gets at a time, over all parsers; 0 sets no limit."""
    host_min_interval: Annotated[
        float, Field(ge=0, le=3600, allow_inf_nan=False), Unit("seconds")
    ] = 0.0
    """Seconds between the beginnings of two requests to one host."""
    host_fetch_share: Fraction = 0.5
    """The part of FETCH_CONCURRENCY that requests of `GET /fetch` to one host may occupy."""
    host_job_share: Fraction = 0.75
    """The part of FETCH_CONCURRENCY that jobs of one host may occupy while it is slow."""
    respect_robots: bool = False
    """Whether to obey robots.txt even if a request does not ask for it."""

    shutdown_grace: Annotated[Seconds, Field(le=10)] = 4.0
    """Seconds that pages in flight get to finish after SIGTERM before they are handed back."""
    alive_file: AliveFile | None = None
    """The file that the listener touches on each heartbeat."""
    http_alive_file: AliveFile | None = None
    """The file that the HTTP side touches while its event loop turns."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def redis_address(self) -> RedisAddress:
        """The Redis of `redis_url`, as its clients take it."""
        return parse_redis_url(self.redis_url, self.redis_ca_bundle)

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper_case_log_level(cls, value: object) -> object:
        if isinstance(value, str) and value.upper() in ("DEBUG", "INFO", "WARNING", "ERROR"):
            return value.upper()
        return value

    @field_validator("fetch_allowed_networks", mode="before")
    @classmethod
    def _parse_networks(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.split(",") if part.strip()]
        for part in parts:
            require_network(part)
        return tuple(ip_network(part) for part in parts)

    @field_validator("fetch_nameservers", mode="before")
    @classmethod
    def _parse_nameservers(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = tuple(part.strip() for part in value.split(",") if part.strip())
        for part in parts:
            _check_nameserver(part)
        return parts

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: str) -> str:
        parse_redis_url(value)
        return value

    @field_validator("fetch_allowed_ports", mode="before")
    @classmethod
    def _parse_ports(cls, value: Any) -> Any:
        return frozenset(_port_numbers(value)) if isinstance(value, str) else value

    @field_validator("result_prefix")
    @classmethod
    def _check_result_prefix(cls, value: str, info: ValidationInfo) -> str:
        if (task_queue := info.data.get("task_queue")) is not None:
            require_separate_results(task_queue, value)
        return value

    @classmethod
    def load_or_exit(cls) -> Self:
        """Read the environment, or end the process with a sentence for each invalid variable."""
        try:
            return cls()
        except ValidationError as error:
            fields = cls.model_fields
            sys.exit("\n".join(explain_error(item, fields) for item in error.errors()))


def _check_nameserver(text: str) -> None:
    """Refuse what is no address, with or without a port: a name would have to be looked up."""
    found = re.fullmatch(r"(?:\[(.+)\]|([\d.]+))(?::(\d{1,5}))?", text)
    host, port = (found[1] or found[2], int(found[3] or 53)) if found else (text, 53)
    try:
        ip_address(host)
    except ValueError:
        port = 0
    if not 1 <= port <= 65535:
        raise ValueError(f"{text} is not an address; write 192.0.2.1 or 192.0.2.1:53")


def _port_numbers(text: str) -> set[int]:
    """Parse a list of ports like `80,443,8000-8080`."""
    ports: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part)
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= low <= high <= 65535:
            raise ValueError(
                f"{part} is not a port or a range of ports; write ports as 80,443,8000-8080"
            )
        ports.update(range(low, high + 1))
    if not ports:
        raise ValueError("it names no port; write ports as 80,443,8000-8080")
    return ports
