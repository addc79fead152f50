"""Keep a page's facts in one column, and record who owns a request.

Both columns are added empty, which is instant on a table of any size. The version that is still
running writes and reads the old columns of facts: they stay until no version uses them, and
this version reads them if `facts` is null.

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

# Fill the old columns from `facts`, for the previous version.
RESTORE = """
    UPDATE parse_requests SET
        title_source = facts ->> 'title_source', metadata = facts -> 'metadata',
        final_url = facts ->> 'final_url', redirects = facts -> 'redirects',
        http_status = CAST(facts ->> 'http_status' AS smallint),
        content_type = facts ->> 'content_type', charset = facts ->> 'charset',
        bytes = CAST(facts ->> 'bytes' AS integer),
        elapsed_ms = CAST(facts ->> 'elapsed_ms' AS integer),
        fetched_at = CAST(facts ->> 'fetched_at' AS timestamptz)
    WHERE facts IS NOT NULL
"""


def upgrade() -> None:
    op.add_column("parse_requests", sa.Column("facts", JSONB()))
    op.add_column("parse_requests", sa.Column("owner_id", sa.Uuid()))


def downgrade() -> None:
    op.execute(RESTORE)
    op.drop_column("parse_requests", "owner_id")
    op.drop_column("parse_requests", "facts")
