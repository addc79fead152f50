"""Write when keys were last used: off the path of requests, and at most once a minute for each."""

import asyncio
import contextlib
from collections.abc import Iterable
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

import structlog

from api_service.accounts.repository import CredentialRepository
from api_service.database import Database
from api_service.exceptions import DatabaseUnavailableError

WRITE_EVERY_SECONDS = 1.0
MAX_WAITING = 10_000
"""Keys that wait to be written; uses of more are not written."""

log = structlog.get_logger()


class KeyUses:
    """Collect the keys that were used, and write them together."""

    PAUSE: ClassVar = timedelta(minutes=1)
    """Between two writes for one key."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._used: set[UUID] = set()
        self._some = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to write."""
        self._writing = asyncio.create_task(self._write_for_ever())

    async def close(self) -> None:
        """Write what is left, and stop."""
        if self._writing is not None:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing
        await self.write()

    def note(self, key_ids: Iterable[UUID]) -> None:
        """Have a use of these keys written soon."""
        for key_id in key_ids:
            if len(self._used) < MAX_WAITING:
                self._used.add(key_id)
                self._some.set()

    async def write(self) -> None:
        """Write the uses that were noted. They are lost if the database does not answer."""
        self._some.clear()
        used, self._used = sorted(self._used), set()
        if not used:
            return
        try:
            async with self._database.transaction() as session:
                await CredentialRepository(session).touch_keys(used, pause=self.PAUSE)
        except DatabaseUnavailableError as error:
            log.warning("uses of keys not written", keys=len(used), error=repr(error))

    async def _write_for_ever(self) -> None:
        while True:
            await self._some.wait()
            await self.write()
            await asyncio.sleep(WRITE_EVERY_SECONDS)
