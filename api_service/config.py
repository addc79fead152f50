"""Read the settings of the API service and its workers, once per process."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api_service.database_address import DatabaseAddress, read_database_url
from api_service.redis_address import RedisAddress, read_redis_url


class Settings(BaseSettings):
    """Hold every setting; each has a safe default, and `docs/operations.md` lists them all."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    database_url: str = "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres"
    """The PostgreSQL database, as libpq or SQLAlchemy write it."""
    database_ca_bundle: Path | None = None
    """A file of certificates to trust for the database's TLS, which is then verified."""
    redis_url: str = "redis://127.0.0.1:6379/0"
    """The Redis that the API, its workers and the parsers share."""
    redis_ca_bundle: Path | None = None
    """A file of certificates to trust as well as the system's, for `rediss://`."""
    task_queue: str = "parser:tasks"
    """The list from which parsers take jobs; the same as theirs."""
    result_prefix: str = "parser:results:"
    """The start of the keys under which parsers store results; the same as theirs."""
    parser_url: str = "http://127.0.0.1:8001"
    """The parser's HTTP side, for `/parse_sync`."""

    parser_timeout: Annotated[float, Field(gt=0)] = 35.0
    """Seconds that `/parse_sync` waits for the parser; above the parser's own deadline."""
    database_timeout: Annotated[float, Field(gt=0)] = 4.0
    """Seconds for what one HTTP request asks of the database, connection included."""
    job_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds for one of the worker's transactions."""
    publish_timeout: Annotated[float, Field(gt=0)] = 1.0
    """Seconds that a POST tries to publish its task before it answers without."""
    max_queue_depth: Annotated[int, Field(ge=1)] = 250_000
    """Unfinished requests from which on the API accepts no more."""
    request_header_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds in which a client's request line and header must arrive."""
    request_body_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds in which a request's body must arrive, or keep to `least_rate` meanwhile."""
    response_timeout: Annotated[float, Field(gt=0)] = 30.0
    """Seconds in which a client must read its answer, or keep to `least_rate` meanwhile."""
    least_rate: Annotated[int, Field(ge=1)] = 1024
    """Bytes per second at which a client must send or read what takes longer than that."""
    max_answer_bytes: Annotated[int, Field(ge=1)] = 32 * 1024 * 1024
    """Bytes of large answers that one API process holds until their clients have read them."""
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """Attempts at a page before its request fails."""
    retry_delay: Annotated[float, Field(gt=0)] = 2.0
    """Seconds before the second attempt, jittered; the pause doubles with each."""
    max_retry_delay: Annotated[float, Field(gt=0)] = 60.0
    """Seconds between two attempts at most; a page whose site asks for more fails."""
    lost_after: Annotated[float, Field(gt=0)] = 45.0
    """Seconds after which a request of which Redis has no trace is pushed again; above the
    parsers' deadline for a page."""
    retention_days: Annotated[int, Field(ge=1)] = 30
    """Days after its end at which a request is deleted; one that takes longer to end fails."""
    metrics_host: str = "127.0.0.1"
    """The address on which a worker and beat expose metrics; the API has a route for it."""
    metrics_port: Annotated[int, Field(ge=0, le=65534)] = 0
    """The port for it; 0 exposes nothing."""
    alive_file: Path | None = None
    """The file that the API, or a worker's Celery half, touches while it is alive."""
    results_alive_file: Path | None = None
    """The file that a worker's results half touches on each round."""
    beat_alive_file: Path | None = None
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
        return read_redis_url(self.redis_url, self.redis_ca_bundle)

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, value: str) -> str:
        read_database_url(value)
        return value

    @field_validator("redis_url")
    @classmethod
    def _check_redis(cls, value: str) -> str:
        read_redis_url(value)
        return value

    @field_validator("database_ca_bundle", "redis_ca_bundle")
    @classmethod
    def _check_ca_bundle(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"{value} is not a file")
        return value

    @classmethod
    def load(cls) -> Self:
        """Read the environment, or end the process with a sentence for each invalid variable."""
        try:
            return cls()
        except ValidationError as error:
            sys.exit("\n".join(_explain(item) for item in error.errors()))


def _explain(item: Any) -> str:
    """Name the variable, its value unless it may hold a password, and what is wrong with it."""
    name = str(item["loc"][0]).upper() if item["loc"] else "settings"
    value = "" if name.endswith("_URL") else f" is {str(item['input'])[:100]!r}"
    return f"{name}{value}: {item['msg'].removeprefix('Value error, ')}."
