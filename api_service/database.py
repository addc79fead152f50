"""The engine, sessions and transactions. The only module that commits."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.exc import (
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from api_service.database_address import ENGINE_URL, DatabaseAddress
from api_service.exceptions import (
    DatabaseUnavailableError,
    SchemaOutdatedError,
    TransactionPoolingError,
    UnstorableError,
)
from api_service.schema import NEWEST_MIGRATION, is_outdated

Session = AsyncSession
"""For modules that hold a session and write no SQL: the lint keeps SQLAlchemy out of them."""

CONNECT_TIMEOUT_SECONDS = 3
STARTUP_WAIT_SECONDS = 30
"""Seconds that a starting process waits for the database."""

# The driver's own errors, which SQLAlchemy does not always wrap.
_ASYNCPG_ERRORS = (asyncpg.InterfaceError, asyncpg.PostgresError)
# What does not pass by itself: a starting process ends at once.
_PERMANENT_ERRORS = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ClientConfigurationError,
    ssl.SSLCertVerificationError,
)
ERRORS_WHILE_CONNECTING = (TimeoutError, OSError, SQLAlchemyError, *_ASYNCPG_ERRORS)
"""What connecting may raise."""
# The faults of a value: what has no form in its type, or is larger or deeper than any may be.
_UNSTORABLE_ERRORS = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)

# Classes of SQLSTATE: connections, serialization, resources, locks, an operator, the system.
_TRANSIENT_SQLSTATE_CLASSES = {"08", "40", "53", "55", "57", "58"}


class Database:
    """Sessions on one PostgreSQL database, of one event loop.

    Args:
        address: of the database.
        timeout: seconds for one transaction, including the wait for a connection.
        pool_size: connections kept.
    """

    def __init__(self, address: DatabaseAddress, *, timeout: float, pool_size: int = 10) -> None:
        self._timeout = timeout
        self._driver_arguments = {"timeout": CONNECT_TIMEOUT_SECONDS} | dict(
            address.driver_arguments
        )
        self._engine = create_async_engine(
            ENGINE_URL,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=timeout,
            hide_parameters=True,  # an error that reaches the log must not take secrets there
            connect_args={"timeout": CONNECT_TIMEOUT_SECONDS}
            | dict(address.engine_arguments)
            | {"command_timeout": timeout},
        )
        event.listen(self._engine.sync_engine, "checkout", _discard_if_closed)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)
        self._read_sessions = async_sessionmaker(
            self._engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False
        )

    @asynccontextmanager
    async def transaction(self, *, seconds: float | None = None) -> AsyncIterator[AsyncSession]:
        """Yield a session in a transaction, committed at the end of the block.

        Args:
            seconds: for all of it, in place of the usual timeout.

        Raises:
            UnstorableError: PostgreSQL refuses a value.
            DatabaseUnavailableError: PostgreSQL is unreachable or does not answer in time. An
                unanswered commit may have succeeded.
        """
        async with (
            self._translated_errors(seconds or self._timeout),
            self._sessions.begin() as session,
        ):
            yield session

    @asynccontextmanager
    async def read_session(self) -> AsyncIterator[AsyncSession]:
        """Yield a session for one reading statement, without a transaction's round trips.

        Raises:
            DatabaseUnavailableError: PostgreSQL is unreachable or does not answer in time.
        """
        async with self._translated_errors(self._timeout), self._read_sessions() as session:
            yield session

    @asynccontextmanager
    async def _translated_errors(self, seconds: float) -> AsyncIterator[None]:
        """Raise our errors in place of the driver's; end the block with one after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except (IntegrityError, ProgrammingError):
            raise  # our mistake; everything else is the server's state
        except (*_UNSTORABLE_ERRORS, UnicodeEncodeError) as error:
            raise UnstorableError(str(error)) from error
        except (TimeoutError, OSError, SQLAlchemyError, *_ASYNCPG_ERRORS) as error:
            if isinstance(_driver_error(error), _UNSTORABLE_ERRORS):
                raise UnstorableError(str(error)) from error
            raise DatabaseUnavailableError from error

    async def revision(self) -> str | None:
        """Read the migration that the database is at; None before the first.

        Raises:
            DatabaseUnavailableError: the database does not answer, or does not let us read.
        """
        try:
            async with self.transaction() as session:
                result = await session.execute(text("SELECT version_num FROM alembic_version"))
                return result.scalar_one_or_none()
        except ProgrammingError as error:
            if isinstance(_driver_error(error), asyncpg.UndefinedTableError):
                return None
            raise DatabaseUnavailableError from error

    async def wait_and_require_usable(self) -> None:
        """Wait for the database; refuse a schema that is older than the code.

        A database that is itself starting is waited for up to `STARTUP_WAIT_SECONDS`.

        Raises:
            SchemaOutdatedError: it says what to run.
            TransactionPoolingError: the address is that of a pooler that cannot be used.
            DatabaseUnavailableError: the database does not answer, or refuses us; it says why.
        """
        revision = await self._require_own_sessions_and_read_revision()
        if is_outdated(revision):
            raise SchemaOutdatedError(
                f"The database is at migration {revision or 'none'}, this version needs "
                f"{NEWEST_MIGRATION}. Run: alembic upgrade head"
            )

    async def _require_own_sessions_and_read_revision(self) -> str | None:
        """Wait for the database, refuse a pooler that shares sessions, and read the migration."""
        end = monotonic() + STARTUP_WAIT_SECONDS
        while True:
            try:
                await self._require_own_sessions()
                return await self.revision()
            except TransactionPoolingError:
                raise
            except DatabaseUnavailableError as error:
                reason = error.__cause__ or error
                if monotonic() > end or isinstance(
                    _driver_error(reason) or reason, _PERMANENT_ERRORS
                ):
                    raise DatabaseUnavailableError(explain_refusal(reason)) from error
                await asyncio.sleep(0.5)

    async def _require_own_sessions(self) -> None:
        """Refuse a pooler that serves two open connections with one session of the server.

        Such a pooler loses prepared statements and `LISTEN`, at first unnoticed.
        """
        async with self._translated_errors(self._timeout), AsyncExitStack() as stack:
            backends = set()
            for _ in range(2):
                # Each in a transaction, which even such a pooler keeps together.
                connection = await asyncpg.connect(
                    **self._driver_arguments | {"statement_cache_size": 0}
                )
                stack.callback(connection.terminate)
                async with connection.transaction():
                    backends.add(await connection.fetchval("SELECT pg_backend_pid()"))
        if len(backends) < 2:
            raise TransactionPoolingError

    async def dispose(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def is_transient_error(error: BaseException) -> bool:
    """Return whether an error is of the server's state, which may pass, not of a statement."""
    if isinstance(error, DatabaseUnavailableError | TimeoutError | OSError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    reason = _driver_error(error) or error
    return (
        isinstance(reason, asyncpg.PostgresError)
        and str(reason.sqlstate)[:2] in _TRANSIENT_SQLSTATE_CLASSES
    )


def explain_refusal(error: BaseException) -> str:
    """Say in one sentence why the database cannot be used, in the server's own words."""
    reason = _driver_error(error) or error
    words = str(reason).strip().splitlines() or ["it did not answer in time"]
    return f"DATABASE_URL: cannot use the database: {words[0].rstrip('.')}."


def _driver_error(error: BaseException) -> BaseException | None:
    """Return what the driver raised: SQLAlchemy has no class of its own for refused values."""
    return error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig else None


def _discard_if_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """Have the pool replace a connection that the server closed, without a round trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError
