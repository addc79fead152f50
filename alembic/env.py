"""Run migrations through asyncpg on the database that DATABASE_URL names."""

import asyncio
import importlib
import pkgutil
import sys
from time import monotonic

from alembic import context
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

import api_service
from api_service.config import Settings
from api_service.database import CONNECT_TIMEOUT_SECONDS, ERRORS_WHILE_CONNECTING, explain_refusal
from api_service.database_address import ENGINE_URL, DatabaseAddress
from api_service.schema import Base

# Tables are declared in modules named `models`; a new room needs no line here.
for module in pkgutil.walk_packages(api_service.__path__, "api_service."):
    if module.name.endswith(".models"):
        importlib.import_module(module.name)

# An arbitrary number for the lock that keeps two migrations from running at once.
MIGRATION_LOCK = 7_214_090_531

LOCK_SECONDS = 0.06
"""Seconds that a statement waits for a lock: all later statements on the table wait behind it."""
AUTOVACUUM_SECONDS = 1.5
"""Longer than PostgreSQL's `deadlock_timeout`, after which an autovacuum in the way gives up."""
PAUSE_SECONDS = 0.5
"""Seconds between two tries, in which others get their locks."""
WAIT_SECONDS = 45.0
"""Seconds after which a migration that gets no lock gives up; `-x wait=SECONDS` changes it."""

LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED = "55P03", "40P01"
MISSING_RIGHT, MISSING_TABLE = "42501", "42P01"

SHARE_WITH_REQUESTS = text("LOCK TABLE parse_requests IN SHARE UPDATE EXCLUSIVE MODE")

# Who has used a table of ours for the longest time.
HOLDER = text("""
    SELECT c.relname AS name, a.pid, coalesce(nullif(a.application_name, ''), 'no name') AS program,
        coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::int, 0) AS seconds
    FROM pg_locks l
    JOIN pg_stat_activity a USING (pid)
    JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p')
    WHERE l.granted AND a.datname = current_database() AND a.pid <> pg_backend_pid()
        AND c.relnamespace = to_regnamespace(current_schema())
    ORDER BY a.xact_start LIMIT 1
""")


class MigrationError(Exception):
    """The command cannot be done; the message says why, and what to do."""


class LockedError(Exception):
    """Another process migrates this database at the moment."""


def run_offline(url: str) -> None:
    context.configure(
        url=url,
        target_metadata=Base.metadata,
        literal_binds=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run(connection: Connection, begun_at: list[tuple[str, ...]]) -> None:
    """Run each migration in a transaction of its own, unless another process migrates.

    Args:
        connection: without an open transaction.
        begun_at: the state of the database at each earlier try; the one of this try is added.

    Raises:
        LockedError: another process migrates.
        MigrationError: an earlier try has made some of the steps that a relative command counts.
    """
    with connection.begin():
        is_ours = connection.execute(text(f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})"))
        if not is_ours.scalar_one():
            raise LockedError
    try:
        context.configure(
            connection=connection, target_metadata=Base.metadata, transaction_per_migration=True
        )
        with context.begin_transaction():
            begun_at.append(context.get_context().get_current_heads())
            if is_relative() and len(set(begun_at)) > 1:
                raise MigrationError(
                    f"Some steps are done, and then a lock was not free. The database is at "
                    f"migration {', '.join(begun_at[-1]) or 'none'}."
                )
            if not is_newer_than_this_version():
                context.run_migrations()
    finally:
        if not connection.invalidated and not connection.closed:
            connection.rollback()
            with connection.begin():
                connection.execute(text(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})"))


def is_relative() -> bool:
    """Return whether the command names a number of steps, such as `-1`."""
    revision = getattr(context.config.cmd_opts, "revision", None) or ""
    return revision.startswith(("+", "-"))


def limit_waits(connection: Connection) -> None:
    """Have statements of each transaction that begins wait for a lock for a short time only."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")


def is_newer_than_this_version() -> bool:
    """Return whether a newer version has migrated the database: an upgrade then has nothing to do.

    Raises:
        MigrationError: the command is not an upgrade.
    """
    known = {script.revision for script in context.script.walk_revisions()}
    unknown = set(context.get_context().get_current_heads()) - known
    if not unknown:
        return False
    state = f"The database is at migration {', '.join(unknown)}, which is newer than this version"
    command, *_ = getattr(context.config.cmd_opts, "cmd", None) or [None]
    if getattr(command, "__name__", "") != "upgrade":
        raise MigrationError(f"{state}. Use the version that has this migration.")
    sys.stderr.write(f"{state}; there is nothing to do.\n")
    return True


async def run_until_unlocked(connection: AsyncConnection, seconds: float) -> None:
    """Run the command; while others hold the locks that it needs, start it again.

    No transaction is open between two tries.

    Raises:
        MigrationError: others held the locks for `seconds`, or PostgreSQL refuses a statement.
    """
    end = monotonic() + seconds
    begun_at: list[tuple[str, ...]] = []
    while True:
        try:
            return await connection.run_sync(run, begun_at)
        except LockedError:
            reason = "Another process is migrating this database. Wait for its end, then try again."
        except DBAPIError as error:
            if sqlstate(error) not in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED):
                raise MigrationError(explain(error)) from error
            reason = await describe_holder(connection, seconds)
            await send_autovacuum_away(connection)
        if monotonic() > end:
            raise MigrationError(reason)
        await asyncio.sleep(PAUSE_SECONDS)


async def send_autovacuum_away(connection: AsyncConnection) -> None:
    """Wait, for a lock that no request waits behind, until an autovacuum of the table gives up."""
    try:
        async with connection.begin():
            await connection.execute(text(f"SET LOCAL lock_timeout = '{AUTOVACUUM_SECONDS}s'"))
            await connection.execute(SHARE_WITH_REQUESTS)
    except DBAPIError as error:
        if sqlstate(error) not in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED, MISSING_TABLE):
            raise MigrationError(explain(error)) from error


async def describe_holder(connection: AsyncConnection, seconds: float) -> str:
    """Say who holds the lock that a migration needs, and how to get it."""
    row = (await connection.execute(HOLDER)).one_or_none()
    await connection.rollback()
    failed = f"Not migrated: no lock within {seconds:g} s"
    if row is None:
        return f"{failed}. Try again, or wait longer: alembic -x wait=600 upgrade head"
    return (
        f"{failed} on {row.name}, which PostgreSQL's process {row.pid} ({row.program}) has used "
        f"for {row.seconds} s. Wait for its end, or run SELECT pg_terminate_backend({row.pid}); "
        "then migrate again."
    )


def sqlstate(error: DBAPIError) -> str:
    """Return PostgreSQL's code of an error; empty for a broken connection."""
    return getattr(error.orig, "sqlstate", None) or ""


def explain(error: DBAPIError) -> str:
    """Say in one sentence why a migration failed, in the server's own words."""
    code = sqlstate(error)
    if not code or code.startswith(("08", "57P")):  # the connection or the server is gone
        return explain_refusal(error)
    words = str(error.orig.__cause__ if error.orig else error).splitlines()[0].rstrip(".")
    advice = " Migrate as the owner of the tables." if code == MISSING_RIGHT else ""
    return f"Not migrated: PostgreSQL refuses a statement: {words}.{advice}"


def read_wait() -> float:
    """Read `-x wait=SECONDS` of the command line."""
    value = context.get_x_argument(as_dictionary=True).get("wait", str(WAIT_SECONDS))
    try:
        return float(value)
    except ValueError:
        sys.exit(f"-x wait is {value!r}; it must be seconds, such as -x wait=600.")


async def run_online(address: DatabaseAddress, seconds: float) -> None:
    arguments = {"timeout": CONNECT_TIMEOUT_SECONDS} | dict(address.engine_arguments)
    engine = create_async_engine(ENGINE_URL, connect_args=arguments, poolclass=NullPool)
    try:
        connection = await engine.connect()
    except ERRORS_WHILE_CONNECTING as error:
        sys.exit(explain_refusal(error))
    event.listen(connection.sync_connection, "begin", limit_waits)
    try:
        await run_until_unlocked(connection, seconds)
    except MigrationError as error:
        sys.exit(str(error))
    finally:
        await connection.close()
        await engine.dispose()


settings = Settings.load_or_exit()
if context.is_offline_mode():
    run_offline(ENGINE_URL)
else:
    asyncio.run(run_online(settings.database_address, read_wait()))
