"""Make what the routes of this room use, and what finds the caller of every request."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import redis.asyncio as aioredis

from api_service.accounts.administration import Administration
from api_service.accounts.attempts import AttemptLimits
from api_service.accounts.deletion import AccountDeletions
from api_service.accounts.keys import KeyService
from api_service.accounts.last_used import KeyUses
from api_service.accounts.lookup import CallerDirectory
from api_service.accounts.passwords import Passwords
from api_service.accounts.registration import RegistrationRule
from api_service.accounts.repository import CHANGE_CHANNEL
from api_service.accounts.service import AccountService
from api_service.accounts.usage import UsageReader
from api_service.caller import CallerLimits, CallerLookup
from api_service.config import Settings
from api_service.database import Database
from api_service.edge.request_rates import RequestRates
from api_service.owners.use import CallerUse
from api_service.parser_client.keys import Keys
from api_service.process.collaborators import CollaboratorRegistry
from api_service.process.notices import NoticeListener


@asynccontextmanager
async def open_accounts(
    settings: Settings, collaborators: CollaboratorRegistry
) -> AsyncIterator[None]:
    """Add the look-up of callers and the services; listen for changes by other processes."""
    database = collaborators.get(Database)
    defaults = CallerLimits(
        requests_per_minute=settings.requests_per_minute,
        unfinished_requests=settings.user_max_unfinished,
        stored_bytes=settings.user_max_stored_bytes,
    )
    async with AsyncExitStack() as stack:
        uses = KeyUses(database)
        uses.open()
        stack.push_async_callback(uses.close)
        directory = CallerDirectory(
            database, defaults=defaults, uses=uses, timeout=settings.database_timeout
        )
        stack.push_async_callback(_listen_for_changes(settings, directory).close)
        passwords = Passwords()
        stack.callback(passwords.close)
        attempts = AttemptLimits(collaborators.get(aioredis.Redis), Keys.of(settings))
        for collaborator in (
            CallerLookup(directory.find),
            defaults,
            RegistrationRule(settings.registration),
            AccountService(
                database=database, passwords=passwords, attempts=attempts, directory=directory
            ),
            KeyService(database=database, directory=directory),
            Administration(database=database, directory=directory),
            AccountDeletions(database=database, directory=directory),
            UsageReader(collaborators.get(CallerUse), collaborators.get(RequestRates)),
        ):
            collaborators.add(collaborator)
        yield


def _listen_for_changes(settings: Settings, directory: CallerDirectory) -> NoticeListener:
    """Have the directory forget whom another process has changed."""
    listener = NoticeListener(
        settings.database_address,
        CHANGE_CHANNEL,
        on_notice=directory.on_notice,
        on_connected=directory.forget_all,
    )
    listener.open()
    return listener
