"""Settings of the parser service, read from the environment once per process."""

import re
import sys
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIB = 1024 * 1024


class Settings(BaseSettings):
    """Every setting has a safe default; `docs/operations.md` lists them all."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    redis_url: str = "redis://127.0.0.1:6379/0"
    task_queue: str = "parser:tasks"
    result_prefix: str = "parser:results:"
    result_ttl: Annotated[int, Field(ge=60)] = 3600
    """Seconds that a result waits under its key."""

    fetch_concurrency: Annotated[int, Field(ge=1, le=1024)] = 64
    """Pages under way at a time, per process."""
    fetch_allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks that may be fetched from although they are not public."""
    fetch_allowed_ports: Annotated[frozenset[int], NoDecode] = frozenset({80, 443})
    fetch_timeout: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Seconds for a whole page: look-up, connection, redirects, body and parsing."""
    fetch_connect_timeout: Annotated[float, Field(gt=0)] = 5.0
    fetch_dns_timeout: Annotated[float, Field(gt=0)] = 5.0
    fetch_max_body: Annotated[int, Field(ge=1024)] = 10 * MIB
    """Bytes of a body after inflating."""
    fetch_max_redirects: Annotated[int, Field(ge=0, le=20)] = 5
    fetch_user_agent: str = "PageParser/0.1 (self-hosted; +https://www.rfc-editor.org/rfc/rfc9309)"

    shutdown_grace: Annotated[float, Field(gt=0)] = 4.0
    """Seconds that pages under way get to finish after SIGTERM before they are handed back."""
    log_level: str = "INFO"

    @field_validator("fetch_allowed_networks", mode="before")
    @classmethod
    def _split_networks(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())

    @field_validator("fetch_allowed_ports", mode="before")
    @classmethod
    def _split_ports(cls, value: Any) -> Any:
        return frozenset(_ports(value)) if isinstance(value, str) else value

    @classmethod
    def load(cls) -> Self:
        """Read the environment, or end the process with one sentence for each wrong variable."""
        try:
            return cls()
        except ValidationError as error:
            sys.exit("\n".join(_explain(item) for item in error.errors()))


def _ports(text: str) -> set[int]:
    """Port numbers of a list like `80,443,8000-8080`."""
    ports: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part)
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= low <= high <= 65535:
            raise ValueError(f"{part} is no port or range of ports")
        ports.update(range(low, high + 1))
    return ports


def _explain(item: Any) -> str:
    name = str(item["loc"][0]).upper() if item["loc"] else "settings"
    return f"{name}: {item['msg'].removeprefix('Value error, ')}."
