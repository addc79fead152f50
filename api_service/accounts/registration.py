"""Decide who may create accounts over HTTP."""

from dataclasses import dataclass
from typing import Literal

from api_service.accounts.exceptions import RegistrationClosedError
from api_service.caller import Caller, Scope


@dataclass(frozen=True, slots=True)
class RegistrationRule:
    """Hold the setting `REGISTRATION`."""

    mode: Literal["auto", "open", "closed"]

    def require_open(self, caller: Caller, *, anonymous_is_admitted: bool) -> None:
        """Refuse strangers where accounts are not for everybody; administrators may always.

        Args:
            caller: who registers somebody.
            anonymous_is_admitted: whether this client would be served without an account.

        Raises:
            RegistrationClosedError: the caller may not.
        """
        is_open = self.mode == "open" or (self.mode == "auto" and anonymous_is_admitted)
        if not is_open and Scope.ADMIN not in caller.scopes:
            raise RegistrationClosedError
