"""Base of all models, and the migration that they are written for."""

from sqlalchemy.orm import DeclarativeBase

NEWEST_MIGRATION = "0004"
"""The revision that this code works with; a test compares it with `alembic/versions`."""


class Base(DeclarativeBase):
    """The base of all models; its metadata has every table whose module was imported."""
