"""Add users, sessions and API keys.

The tables are new, and no other table refers to them: nothing that runs waits for a lock.

Revision: 0005
Follows: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _id() -> sa.Column:
    return sa.Column(
        "id",
        sa.Uuid(),
        server_default=sa.text("gen_random_uuid()"),
        primary_key=True,
        nullable=False,
    )


def _user_id() -> sa.Column:
    return sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False)


def _time(name: str, *, default_now: bool = False, nullable: bool = False) -> sa.Column:
    default = sa.text("now()") if default_now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "users",
        _id(),
        sa.Column("email", sa.Text()),
        sa.Column("password_hash", sa.Text()),
        sa.Column("password_version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("role", sa.Text(), server_default="user", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("limits", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        _time("created_at", default_now=True),
        _time("deleted_at", nullable=True),
        sa.CheckConstraint("role IN ('user', 'admin')", name="ck_users_role"),
    )
    op.create_index("ix_users_email", "users", ["email"], unique=True)
    op.create_index(
        "ix_users_listed",
        "users",
        ["created_at", "id"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_users_admins",
        "users",
        ["id"],
        postgresql_where=sa.text("role = 'admin' AND is_active AND deleted_at IS NULL"),
    )
    op.create_table(
        "sessions",
        _id(),
        _user_id(),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        _time("created_at", default_now=True),
        _time("expires_at"),
    )
    op.create_index("ix_sessions_token_digest", "sessions", ["token_digest"], unique=True)
    op.create_index("ix_sessions_user_id", "sessions", ["user_id", "created_at"])
    op.create_table(
        "api_keys",
        _id(),
        _user_id(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", ARRAY(sa.Text()), nullable=False),
        _time("created_at", default_now=True),
        _time("expires_at", nullable=True),
        _time("last_used_at", nullable=True),
    )
    op.create_index("ix_api_keys_token_digest", "api_keys", ["token_digest"], unique=True)
    op.create_index("ix_api_keys_listed", "api_keys", ["user_id", "created_at", "id"])


def downgrade() -> None:
    op.drop_table("api_keys")
    op.drop_table("sessions")
    op.drop_table("users")
