"""Add facts about a page besides its text, and the count and time of attempts.

The index is built next to other statements, outside the transaction. If that fails, the migration
runs again from its beginning: so it passes over the columns that it has added.

Revision: 0002
Follows: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INDEX_WAIT_SECONDS = 45
"""Nothing waits behind the building of an index while that waits for older transactions."""


def upgrade() -> None:
    jsonb = postgresql.JSONB(none_as_null=True)
    columns = (
        sa.Column("options", jsonb),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True)),
        sa.Column("title_source", sa.Text()),
        sa.Column("metadata", jsonb),
        sa.Column("redirects", jsonb),
        sa.Column("charset", sa.Text()),
        sa.Column("bytes", sa.Integer()),
        sa.Column("elapsed_ms", sa.Integer()),
    )
    for column in columns:
        op.add_column("parse_requests", column, if_not_exists=True)
    name = "ix_parse_requests_next_attempt_at"
    with op.get_context().autocommit_block():
        op.execute(f"SET lock_timeout = '{INDEX_WAIT_SECONDS}s'")
        # One whose building failed is there and not valid.
        op.drop_index(name, "parse_requests", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            name,
            "parse_requests",
            ["next_attempt_at"],
            postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index("ix_parse_requests_next_attempt_at", "parse_requests")
    for name in (
        "elapsed_ms",
        "bytes",
        "charset",
        "redirects",
        "metadata",
        "title_source",
        "next_attempt_at",
        "attempts",
        "options",
    ):
        op.drop_column("parse_requests", name)
