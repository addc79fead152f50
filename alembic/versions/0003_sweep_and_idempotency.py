"""Add the marks that the sweep sets on requests, and the table of idempotency keys.

Revision: 0003
Follows: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "parse_requests",
        sa.Column("alone", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("parse_requests", sa.Column("suspect_since", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_parse_requests_suspect_since",
        "parse_requests",
        ["suspect_since"],
        postgresql_where=sa.text("suspect_since IS NOT NULL"),
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
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_index("ix_parse_requests_suspect_since", "parse_requests")
    op.drop_column("parse_requests", "suspect_since")
    op.drop_column("parse_requests", "alone")
