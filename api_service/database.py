"""The engine, sessions and transactions: the only place that commits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, ProgrammingError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from api_service.exceptions import DatabaseUnavailableError, SchemaOutdatedError
from api_service.models import NEWEST_MIGRATION

CONNECT_SECONDS = 3


class Database:
    """Sessions on one PostgreSQL database, of one event loop.

    Args:
        url: `postgresql+asyncpg://…`.
        timeout: seconds for one transaction, waiting for a connection included.
        pool_size: connections kept.
    """

    def __init__(self, url: str, *, timeout: float, pool_size: int = 10) -> None:
        self._timeout = timeout
        self._engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=timeout,
            connect_args={"timeout": CONNECT_SECONDS, "command_timeout": timeout},
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session in a transaction, committed at the end of the block.

        Raises:
            DatabaseUnavailableError: PostgreSQL is away, or does not answer in time. Whether
                a commit that was under way took effect is then unknown.
        """
        try:
            async with asyncio.timeout(self._timeout), self._sessions.begin() as session:
                yield session
        except (TimeoutError, OSError, asyncpg.InterfaceError, asyncpg.PostgresError) as error:
            raise DatabaseUnavailableError from error
        except SQLAlchemyError as error:
            if isinstance(error, DBAPIError) and not _is_outage(error):
                raise
            raise DatabaseUnavailableError from error

    async def revision(self) -> str | None:
        """The migration that the database is at, or None where there was none yet."""
        try:
            async with self.transaction() as session:
                result = await session.execute(text("SELECT version_num FROM alembic_version"))
                return result.scalar_one_or_none()
        except ProgrammingError:  # no such table
            return None

    async def require_newest_migration(self) -> None:
        """Refuse to work on another schema than the code knows.

        Raises:
            SchemaOutdatedError: it says what to run.
        """
        revision = await self.revision()
        if revision != NEWEST_MIGRATION:
            raise SchemaOutdatedError(
                f"The database is at migration {revision or 'none'}, this version needs "
                f"{NEWEST_MIGRATION}. Run: alembic upgrade head"
            )

    async def dispose(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """Have the pool replace a connection that the server has closed, at no round trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _is_outage(error: DBAPIError) -> bool:
    """Whether an error is the server's state and not a mistake of ours.

    By SQLSTATE class: 08 connection, 25006 read-only, 53 resources, 57 operator intervention
    (shutdown, statement time-out), 58 system error.
    """
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None) or ""
    return state[:2] in ("08", "53", "57", "58") or state == "25006"
