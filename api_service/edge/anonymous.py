"""Decide whether callers without an account are admitted, and say why."""

from dataclasses import dataclass
from typing import Literal

from starlette.types import Scope

from api_service.config import Settings
from api_service.edge.request_host import read_own_origin
from api_service.settings.hosts import is_loopback, read_bind, read_host_names

_SET_AUTH = (
    "give each caller an account, or set AUTH=open if everybody who reaches the API may use it"
)


@dataclass(frozen=True, slots=True)
class AnonymousAccess:
    """Admit callers without an account, or nobody who is not known.

    It goes by what the API was told of its address and by the `Host` of a request, never by the
    address that a request seems to come from: a proxy on this machine makes everybody local.

    Attributes:
        mode: the setting `AUTH`.
        binds: where the API is reached, by the variable that says so.
        hosts: the names under which it is reached; None for any.
    """

    mode: Literal["auto", "open", "required"]
    binds: dict[str, str]
    hosts: frozenset[str] | None

    @classmethod
    def of(cls, settings: Settings) -> "AnonymousAccess":
        """Return what the settings ask for."""
        named = {"API_HOST": settings.api_host, "API_BIND": settings.api_bind}
        binds = {name: bind for name, bind in named.items() if bind}
        hosts = read_host_names(settings.allowed_hosts)
        hosts |= {host for host in map(read_bind, binds.values()) if host is not None}
        is_any = settings.auth == "open" and "allowed_hosts" not in settings.model_fields_set
        return cls(settings.auth, binds, None if is_any else hosts)

    @property
    def is_possible(self) -> bool:
        """Return whether some callers without an account are admitted."""
        if self.mode != "auto":
            return self.mode == "open"
        return bool(self.binds) and all(map(is_loopback, self.binds.values()))

    def admits_anonymous(self, scope: Scope) -> bool:
        """Return whether a request is served although nobody knows who sent it."""
        if not self.is_possible:
            return False
        if self.hosts is None:
            return True
        own = read_own_origin(scope)
        return own is not None and own.host in self.hosts

    def explain(self) -> str:
        """Say in one sentence who is admitted, why, and what to set for something else."""
        shown = " and ".join(f"{name} is {bind}" for name, bind in self.binds.items())
        match self.mode, self.is_possible:
            case "required", _:
                return "Callers without an account are refused, because AUTH is required."
            case "open", _:
                return (
                    "Callers without an account are admitted, because AUTH is open: everybody who "
                    "reaches the API may use it."
                )
            case _, True:
                return (
                    f"Callers without an account are admitted under the names of ALLOWED_HOSTS, "
                    f"because {shown}, which only this machine reaches; set AUTH=required to "
                    f"refuse them."
                )
        if not self.binds:
            return (
                f"Callers without an account are refused, because neither API_HOST nor API_BIND "
                f"says on which address the API is reached: set API_HOST=127.0.0.1 if only this "
                f"machine reaches it, or {_SET_AUTH}."
            )
        return (
            f"Callers without an account are refused, because {shown}, which other machines may "
            f"reach: {_SET_AUTH}."
        )
