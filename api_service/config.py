"""Read the settings of the API service and its workers, once per process."""

import sys
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api_service.database_address import DatabaseAddress, read_database_url
from api_service.redis_address import RedisAddress, parse_redis_url
from api_service.settings.hosts import read_host_names
from api_service.settings.kinds import (
    AliveFile,
    Bytes,
    CertificateFile,
    Count,
    Days,
    FormatInWords,
    HostOrAddress,
    RedisKeyName,
    Seconds,
    TaskQueueName,
    require_network,
    require_separate_results,
)
from api_service.settings.sentences import explain_error

BindAddress = Annotated[
    str,
    Field(pattern=r"^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._:-]{0,253})$"),
    FormatInWords("an address or a name, such as 127.0.0.1, [::1] or localhost"),
]

DEFAULT_LARGEST_RESULT_BYTES = 64 * 1024 * 1024
"""Six times the parser's default `FETCH_MAX_BODY` and some: JSON may escape a byte with six."""


class Settings(BaseSettings):
    """Hold every setting; each has a safe default, and `docs/operations.md` lists them all."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    database_url: str = "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres"
    """The PostgreSQL database, as libpq or SQLAlchemy write it."""
    database_ca_bundle: CertificateFile | None = None
    """A file of certificates to trust for the database's TLS, which is then verified."""
    redis_url: str = "redis://127.0.0.1:6379/0"
    """The Redis that the API, its workers and the parsers share."""
    redis_ca_bundle: CertificateFile | None = None
    """A file of certificates to trust as well as the system's, for `rediss://`."""
    task_queue: TaskQueueName = "parser:tasks"
    """The list from which parsers take jobs; the same as theirs."""
    result_prefix: RedisKeyName = "parser:results:"
    """The start of the keys under which parsers store results; the same as theirs."""
    parser_url: str = "http://127.0.0.1:8001"
    """The parser's HTTP side, for `/parse_sync`."""

    root_path: Annotated[
        str,
        Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$"),
        FormatInWords("a path that begins with a slash and does not end with one, such as /pages"),
    ] = ""
    """The path under which a proxy serves the API; it may strip it or leave it."""
    forwarded_allow_ips: str = "127.0.0.1"
    """Addresses and networks of proxies whose `X-Forwarded-For` is believed. uvicorn reads the
    variable itself and ignores what it cannot read, so it is checked here."""

    auth: Literal["auto", "open", "required"] = "auto"
    """Which callers without an account are admitted: those who reach a loopback address by a name
    of `allowed_hosts`, everybody, or nobody."""
    api_host: BindAddress = ""
    """The address on which the API listens, as whoever started it declares; empty: unknown."""
    api_bind: BindAddress = ""
    """The address of the machine on which a container's port is published, likewise."""
    allowed_hosts: str = "localhost,127.0.0.1,[::1],api,frontend"
    """Hosts, without ports, under which callers without an account may reach the API; the declared
    addresses are added."""
    metrics_token: Annotated[
        str | None,
        Field(pattern=r"^[\x21-\x7e]{16,256}$", repr=False),
        FormatInWords("16 to 256 visible ASCII characters, without spaces"),
    ] = None
    """A Bearer token that opens `/metrics` and nothing else."""

    parser_timeout: Seconds = 35.0
    """Seconds that `/parse_sync` waits for the parser; above the parser's own deadline."""
    database_timeout: Seconds = 4.0
    """Seconds for what one HTTP request asks of the database, connection included."""
    job_timeout: Seconds = 10.0
    """Seconds for one of the worker's transactions."""
    publish_timeout: Seconds = 1.0
    """Seconds that a POST tries to publish its task before it answers without."""
    max_queue_depth: Count = 250_000
    """Unfinished requests from which on the API accepts no more."""
    registration: Literal["auto", "open", "closed"] = "auto"
    """Who may create accounts over HTTP: everybody, administrators only, or everybody where
    callers without an account are admitted."""
    requests_per_minute: Count = 60_000
    """Requests that a user may send in a minute, unless the user has a limit of their own."""
    user_max_unfinished: Count = 100_000
    """Parse requests of a user that may be unfinished, likewise."""
    user_max_stored_bytes: Bytes = 100 * 1024**3
    """Bytes of stored pages that a user may have, likewise."""
    request_header_timeout: Seconds = 10.0
    """Seconds in which a client's request line and header must arrive."""
    request_body_timeout: Seconds = 10.0
    """Seconds in which a request's body must arrive, or keep to `least_rate` meanwhile."""
    response_timeout: Seconds = 30.0
    """Seconds in which a client must read its answer, or keep to `least_rate` meanwhile."""
    least_rate: Bytes = 1024
    """Bytes per second at which a client must send or read what takes longer than that."""
    max_answer_bytes: Bytes = 32 * 1024 * 1024
    """Bytes of large answers that one API process holds until their clients have read them."""
    largest_result_bytes: Bytes = DEFAULT_LARGEST_RESULT_BYTES
    """Bytes of the largest result of a parser that is read, from Redis or by HTTP."""
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """Attempts at a page before its request fails."""
    retry_delay: Seconds = 2.0
    """Seconds before the second attempt, jittered; the pause doubles with each."""
    max_retry_delay: Seconds = 60.0
    """Seconds between two attempts at most; a page whose site asks for more fails."""
    lost_after: Seconds = 45.0
    """Seconds after which a request of which Redis has no trace is pushed again; above the
    time for which a foreign parser, which leases nothing, may keep a job."""
    retention_days: Days = 30
    """Days after its end at which a request is deleted; one that takes longer to end fails."""
    metrics_host: HostOrAddress = "127.0.0.1"
    """The address on which a worker and beat expose metrics; the API has a route for it."""
    metrics_port: Annotated[int, Field(ge=0, le=65534)] = 0
    """The port for it; 0 exposes nothing."""
    alive_file: AliveFile | None = None
    """The file that the API, or a worker's Celery half, touches while it is alive."""
    results_alive_file: AliveFile | None = None
    """The file that a worker's results half touches on each round."""
    beat_alive_file: AliveFile | None = None
    """The file that beat touches whenever it has published a task."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The lowest level that is logged, in letters of any case."""

    @property
    def database_address(self) -> DatabaseAddress:
        """The database of `database_url`, as its clients take it."""
        return read_database_url(self.database_url, self.database_ca_bundle)

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

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: str) -> str:
        read_database_url(value)
        return value

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: str) -> str:
        parse_redis_url(value)
        return value

    @field_validator("parser_url")
    @classmethod
    def _check_parser_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
            is_url = is_url and parts.port != 0 and not (parts.query or parts.fragment)
        except ValueError:
            is_url = False
        if not is_url:
            raise ValueError("not the URL of a parser; write http://127.0.0.1:8001")
        return value

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _check_forwarded_allow_ips(cls, value: str) -> str:
        for part in value.split(",") if value != "*" else ():
            require_network(part.strip())
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_allowed_hosts(cls, value: str) -> str:
        read_host_names(value)
        return value

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
