"""Run migrations through asyncpg on the database that DATABASE_URL names."""

import asyncio
import importlib
import pkgutil
import sys

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import api_service
from api_service.config import Settings
from api_service.database import CONNECT_SECONDS, CONNECTION_ERRORS, explain_refusal
from api_service.database_address import DIALECT, DatabaseAddress
from api_service.schema import Base

# Tables are declared in modules named `models`; a new room needs no line here.
for module in pkgutil.walk_packages(api_service.__path__, "api_service."):
    if module.name.endswith(".models"):
        importlib.import_module(module.name)

# An arbitrary number for the lock that keeps two migrations from running at once.
MIGRATION_LOCK = 7_214_090_531


def run_offline(url: str) -> None:
    context.configure(url=url, target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        context.run_migrations()


async def run_online(address: DatabaseAddress) -> None:
    arguments = {"timeout": CONNECT_SECONDS} | dict(address.engine_arguments)
    engine = create_async_engine(DIALECT, connect_args=arguments, poolclass=NullPool)
    try:
        connection = await engine.connect()
    except CONNECTION_ERRORS as error:
        sys.exit(explain_refusal(error))
    try:
        await connection.run_sync(run)
    finally:
        await connection.close()
        await engine.dispose()


settings = Settings.load()
if context.is_offline_mode():
    run_offline(DIALECT)
else:
    asyncio.run(run_online(settings.database_address))
