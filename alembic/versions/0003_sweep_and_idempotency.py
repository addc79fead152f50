"""Add the marks that the sweep sets on requests, and the table of idempotency keys.

The index is built next to other statements, outside the transaction. If that fails, the migration
runs again from its beginning: so it passes over what it has added.

Revision: 0003
Follows: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INDEX_WAIT_SECONDS = 45
"""Nothing waits behind the building of an index while that waits for older transactions."""


def upgrade() -> None:
    op.add_column(
        "parse_requests",
        sa.Column("alone", sa.Boolean(), server_default=sa.false(), nullable=False),
        if_not_exists=True,
    )
    op.add_column(
        "parse_requests",
        sa.Column("suspect_since", sa.DateTime(timezone=True)),
        if_not_exists=True,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("caller", "key"),
        if_not_exists=True,
    )
    op.create_index(
        "ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], if_not_exists=True
    )
    name = "ix_parse_requests_suspect_since"
    with op.get_context().autocommit_block():
        op.execute(f"SET lock_timeout = '{INDEX_WAIT_SECONDS}s'")
        # One whose building failed is there and not valid.
        op.drop_index(name, "parse_requests", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            name,
            "parse_requests",
            ["suspect_since"],
            postgresql_where=sa.text("suspect_since IS NOT NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_index("ix_parse_requests_suspect_since", "parse_requests")
    op.drop_column("parse_requests", "suspect_since")
    op.drop_column("parse_requests", "alone")
