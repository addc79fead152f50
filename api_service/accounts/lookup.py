"""Find the caller to whom a token belongs, for every request that carries one.

A process remembers for some seconds who calls. What a change of an account makes untrue is
forgotten at once in the process that made it, in the others when PostgreSQL notifies them, and
everywhere when the seconds are over. Only valid tokens are remembered: made-up ones push nobody
out, and are looked up together, at most one statement at a time.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

import structlog

from api_service.accounts.credentials import KEY, name_credential
from api_service.accounts.last_used import KeyUses
from api_service.accounts.repository import CredentialRepository, FoundCaller
from api_service.accounts.tokens import Token, read_token
from api_service.accounts.users import resolve_limits, scopes_of_role
from api_service.caller import Caller, CallerLimits, Scope
from api_service.database import Database
from api_service.exceptions import DatabaseUnavailableError
from api_service.queueing.batching import Batcher

REMEMBERED_SECONDS = 5.0
"""Seconds for which a caller is remembered, counted from before the database was asked."""
MAX_REMEMBERED = 10_000
MAX_TOKENS_PER_STATEMENT = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Remembered:
    caller: Caller
    good_until: float


class CallerDirectory:
    """Look up tokens, and remember for a moment to whom they belong.

    Args:
        database: has the tokens.
        defaults: limits of users who have none of their own.
        uses: is told which keys are used.
        timeout: seconds that a look-up takes at most.
    """

    def __init__(
        self, database: Database, *, defaults: CallerLimits, uses: KeyUses, timeout: float
    ) -> None:
        self._database = database
        self._defaults = defaults
        self._uses = uses
        self._lookups = Batcher(self._read, limit=MAX_TOKENS_PER_STATEMENT, timeout=timeout)
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._changes = 0

    async def find(self, text: str) -> Caller | None:
        """Return the caller to whom a token belongs; None if it is not valid now.

        Raises:
            DatabaseUnavailableError: the database does not answer, and nothing is remembered.
        """
        token = read_token(text)
        if token is None:
            return None
        remembered = self._remembered.get(token.digest)
        if remembered is not None and remembered.good_until > monotonic():
            return remembered.caller
        try:
            return await self._lookups.submit(token)
        except TimeoutError as error:
            raise DatabaseUnavailableError from error

    def forget(self, user_id: UUID) -> None:
        """Look up a user's tokens anew from now on, after a change was committed."""
        self._changes += 1
        gone = [
            digest
            for digest, remembered in self._remembered.items()
            if remembered.caller.owner_id == user_id
        ]
        for digest in gone:
            del self._remembered[digest]

    def forget_all(self) -> None:
        """Look up every token anew from now on."""
        self._changes += 1
        self._remembered.clear()

    def on_notice(self, payload: str) -> None:
        """Forget the user whom a notice names."""
        try:
            self.forget(UUID(payload))
        except ValueError:
            log.debug("notice of another program ignored", payload=payload[:100])

    async def _read(self, tokens: Sequence[Token]) -> Sequence[Caller | None]:
        started, changes = monotonic(), self._changes
        digests = list(dict.fromkeys(token.digest for token in tokens))
        async with self._database.read_session() as session:
            rows = await CredentialRepository(session).find_callers(digests)
        found = {row.digest: self._caller(row) for row in rows}
        # A change that was committed meanwhile may have come after the statement read its row.
        if changes == self._changes:
            self._remember(rows, found, started)
        self._uses.note([row.id for row in rows if row.kind == KEY and _is_due(row)])
        return [found.get(token.digest) for token in tokens]

    def _caller(self, row: FoundCaller) -> Caller:
        scopes = scopes_of_role(row.role)
        if row.scopes is not None:  # never more than the user may do now
            scopes &= {scope for scope in Scope if scope.value in row.scopes}
        return Caller(
            owner_id=row.user_id,
            scopes=scopes,
            limits=resolve_limits(row.limits, self._defaults),
            credential_id=name_credential(row.kind, row.id),
        )

    def _remember(
        self, rows: Sequence[FoundCaller], found: dict[bytes, Caller], started: float
    ) -> None:
        for row in rows:
            seconds = min(REMEMBERED_SECONDS, row.seconds_left or REMEMBERED_SECONDS)
            self._remembered[row.digest] = _Remembered(found[row.digest], started + seconds)
            self._remembered.move_to_end(row.digest)
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)


def _is_due(row: FoundCaller) -> bool:
    return row.unused_for is None or row.unused_for >= KeyUses.PAUSE.total_seconds()
