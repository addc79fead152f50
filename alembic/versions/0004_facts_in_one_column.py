"""Keep a page's facts in one column, and record who owns a request.

Both columns are added empty: no row is rewritten, whatever the size of the table. Each needs the
table's exclusive lock for some milliseconds, and so waits for all transactions that read the table.
Later statements wait behind it; `env.py` bounds that wait and tries again.

The version that is still running writes and reads the old columns of facts: they stay until no
version uses them, and this version reads them if `facts` is null.

Revision: 0004
Follows: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# A time without an offset is in UTC: `downgrade` sets the session's zone.
FETCHED_AT = "CAST(facts ->> 'fetched_at' AS timestamptz)"

# Fill the old columns from `facts`, for the previous version. It cannot read a time outside the
# years 1 to 9999 of UTC, which an offset may lead to.
RESTORE = f"""
    UPDATE parse_requests SET
        title_source = facts ->> 'title_source', metadata = facts -> 'metadata',
        final_url = facts ->> 'final_url', redirects = facts -> 'redirects',
        http_status = CAST(facts ->> 'http_status' AS smallint),
        content_type = facts ->> 'content_type', charset = facts ->> 'charset',
        bytes = CAST(facts ->> 'bytes' AS integer),
        elapsed_ms = CAST(facts ->> 'elapsed_ms' AS integer),
        fetched_at = CASE
            WHEN {FETCHED_AT} >= '0001-01-01 UTC' AND {FETCHED_AT} < '10000-01-01 UTC'
            THEN {FETCHED_AT} END
    WHERE facts IS NOT NULL
"""  # noqa: S608 - put together from a text of ours


def upgrade() -> None:
    op.add_column("parse_requests", sa.Column("facts", JSONB()))
    op.add_column("parse_requests", sa.Column("owner_id", sa.Uuid()))


def downgrade() -> None:
    op.execute("SET LOCAL TIME ZONE 'UTC'")
    op.execute(RESTORE)
    op.drop_column("parse_requests", "owner_id")
    op.drop_column("parse_requests", "facts")
