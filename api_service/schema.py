"""Base of all models, and the migration that they are written for."""

from sqlalchemy.orm import DeclarativeBase

NEWEST_MIGRATION = "0004"
"""The revision that this code needs; a test compares it with `alembic/versions`."""
OLDER_MIGRATIONS = frozenset({"0001", "0002", "0003"})
"""All revisions before it."""


def is_outdated(revision: str | None) -> bool:
    """Return whether a database at this revision, None before the first, lacks what the code needs.

    A revision that this code does not know is a newer version's: each migration is safe for the
    version before it.
    """
    return revision is None or revision in OLDER_MIGRATIONS


class Base(DeclarativeBase):
    """The base of all models; its metadata has every table whose module was imported."""
