"""Create the table of parse requests.

Revision: 0001
Follows: nothing
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "parse_requests",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column(
            "status",
            sa.Enum("pending", "processing", "success", "failure", name="parse_request_status"),
            server_default="pending",
            nullable=False,
        ),
        sa.Column("title", sa.Text()),
        sa.Column("html_content", sa.Text()),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("trace_id", sa.Text()),
        sa.Column("token", sa.Text()),
        sa.Column("final_url", sa.Text()),
        sa.Column("http_status", sa.SmallInteger()),
        sa.Column("content_type", sa.Text()),
        sa.Column("fetched_at", sa.DateTime(timezone=True)),
        sa.Column("error", postgresql.JSONB(none_as_null=True)),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_parse_requests_created_at", "parse_requests", ["created_at"])
    op.create_index(
        "ix_parse_requests_unfinished",
        "parse_requests",
        ["id"],
        postgresql_where=sa.text("status IN ('pending', 'processing')"),
    )


def downgrade() -> None:
    op.drop_table("parse_requests")
    op.execute("DROP TYPE parse_request_status")
