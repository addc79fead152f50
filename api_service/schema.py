"""Base of all models, the migration that they are written for, and SQL that reads any row.

Somebody else may have written a row, and it must cost no other row anything. Python has no form for
a time that is infinite, BC or in a year over 9999; PostgreSQL has none for a second after its last.
"""

from sqlalchemy.orm import DeclarativeBase

NEWEST_MIGRATION = "0006"
"""The revision that this code needs; a test compares it with `alembic/versions`."""
OLDER_MIGRATIONS = frozenset({"0001", "0002", "0003", "0004", "0005"})
"""All revisions before it."""


def is_outdated(revision: str | None) -> bool:
    """Return whether a database at this revision, None before the first, lacks what the code needs.

    A revision that this code does not know is a newer version's: each migration is safe for the
    version before it.
    """
    return revision is None or revision in OLDER_MIGRATIONS


class Base(DeclarativeBase):
    """The base of all models; its metadata has every table whose module was imported."""


# Facts of rows that a version up to migration 0003 wrote, in the form of today. A time that a
# client cannot read (infinity, BC, years over 9999) is left out.
FACTS_FROM_OLD_COLUMNS_SQL = """
    jsonb_strip_nulls(jsonb_build_object(
        'title_source', title_source, 'final_url', final_url, 'http_status', http_status,
        'content_type', content_type, 'charset', charset, 'bytes', bytes,
        'elapsed_ms', elapsed_ms, 'fetched_at', CASE
            WHEN fetched_at >= '0001-01-01 UTC' AND fetched_at < '10000-01-01 UTC'
            THEN to_char(fetched_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END
    )) || jsonb_build_object('metadata', metadata, 'redirects', redirects)
"""

FIRST_TIME_SQL = "CAST('0001-01-02 UTC' AS timestamptz)"
LAST_TIME_SQL = "CAST('9999-12-30 UTC' AS timestamptz)"
"""The first and the last time that are read; Python can add an offset to both."""


def readable_time(column: str) -> str:
    """Write a time that Python can read: the nearest to the column's."""
    return f"greatest({FIRST_TIME_SQL}, least({column}, {LAST_TIME_SQL}))"


def age_in_seconds(column: str) -> str:
    """Write the seconds since a time; 0 for one to come."""
    past = f"greatest({FIRST_TIME_SQL}, least({column}, clock_timestamp()))"
    return f"extract(epoch FROM clock_timestamp() - {past})::float8"


def is_older_than(column: str, interval: str) -> str:
    """Write the condition that a time is longer ago than an interval.

    An expression, not `column < now() - interval`: the index on the column also holds the ended
    requests of that age, which may be a million, and must not be chosen.
    """
    return f"least({column}, now()) + {interval} < now()"
