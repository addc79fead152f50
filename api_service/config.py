"""Settings of the API service and its worker, read from the environment once per process."""

import sys
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting has a safe default; `docs/operations.md` lists them all."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    database_url: str = "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres"
    redis_url: str = "redis://127.0.0.1:6379/0"
    task_queue: str = "parser:tasks"
    result_prefix: str = "parser:results:"
    parser_url: str = "http://127.0.0.1:8001"

    parser_timeout: Annotated[float, Field(gt=0)] = 35.0
    """Seconds that `/parse_sync` waits for the parser; above the parser's own deadline."""
    database_timeout: Annotated[float, Field(gt=0)] = 4.0
    """Seconds for what one HTTP request asks of the database, connection included."""
    job_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds for one of the worker's transactions."""
    publish_timeout: Annotated[float, Field(gt=0)] = 1.0
    """Seconds that a POST tries to publish its task before it answers without."""
    max_queue_depth: Annotated[int, Field(ge=1)] = 250_000
    """Requests that have not ended, from which on no more are accepted."""
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """How often a page is tried before its request fails."""
    retry_delay: Annotated[float, Field(gt=0)] = 2.0
    """Seconds before the second attempt, jittered; the pause doubles with each."""
    max_retry_delay: Annotated[float, Field(gt=0)] = 60.0
    """Seconds between two attempts at most; a site that asks for more has failed."""
    lost_after: Annotated[float, Field(gt=0)] = 45.0
    """Seconds after which a request that nothing stands for is pushed again; above the
    parsers' deadline for a page."""
    retention_days: Annotated[int, Field(ge=1)] = 30
    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=0, le=65534)] = 0
    """Where a worker and beat show their metrics; 0 for nowhere. The API has a route for it."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _use_asyncpg(cls, value: str) -> str:
        scheme, separator, rest = value.partition("://")
        if not separator or scheme not in ("postgres", "postgresql", "postgresql+asyncpg"):
            raise ValueError("a URL like postgresql+asyncpg://user:password@host/name is needed")
        return f"postgresql+asyncpg://{rest}"

    @field_validator("redis_url")
    @classmethod
    def _check_redis(cls, value: str) -> str:
        if value.partition("://")[0] not in ("redis", "rediss"):
            raise ValueError("a URL like redis://host:6379/0 is needed")
        return value

    @classmethod
    def load(cls) -> Self:
        """Read the environment, or end the process with one sentence for each wrong variable."""
        try:
            return cls()
        except ValidationError as error:
            sys.exit("\n".join(_explain(item) for item in error.errors()))


def _explain(item: Any) -> str:
    name = str(item["loc"][0]).upper() if item["loc"] else "settings"
    return f"{name}: {item['msg'].removeprefix('Value error, ')}."
