"""Find an owner's requests by indexes, count its bytes, and delete its data in slices.

No row is read while others wait: both indexes are built next to other statements, outside the
transaction, and rows without an owner are in neither. If that fails, the migration runs again from
its beginning: so it passes over what it has added.

The version that is still running writes rows without owners, and ends rows with owners without
counting their bytes.

Revision: 0006
Follows: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INDEX_WAIT_SECONDS = 45
"""Nothing waits behind the building of an index while that waits for older transactions."""

INDEXES = {
    "ix_parse_requests_owner_unfinished": "status IN ('pending', 'processing')",
    "ix_parse_requests_owner_ended": "status IN ('success', 'failure')",
}


def upgrade() -> None:
    op.create_table(
        "stored_bytes_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_table(
        "stored_bytes",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id"),
        if_not_exists=True,
    )
    op.create_table(
        "owners_to_delete",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column(
            "requested_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Column("next_look_at", sa.DateTime(timezone=True), server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index(
        "ix_owners_to_delete_next_look_at",
        "owners_to_delete",
        ["next_look_at"],
        postgresql_where=sa.text("next_look_at IS NOT NULL"),
        if_not_exists=True,
    )
    op.create_index(
        "ix_owners_to_delete_done_at",
        "owners_to_delete",
        ["done_at"],
        postgresql_where=sa.text("next_look_at IS NULL"),
        if_not_exists=True,
    )
    op.create_index(
        "ix_owners_to_delete_owner_id",
        "owners_to_delete",
        ["owner_id"],
        unique=True,
        if_not_exists=True,
    )
    with op.get_context().autocommit_block():
        op.execute(f"SET lock_timeout = '{INDEX_WAIT_SECONDS}s'")
        for name, condition in INDEXES.items():
            # One whose building failed is there and not valid.
            op.drop_index(name, "parse_requests", postgresql_concurrently=True, if_exists=True)
            op.create_index(
                name,
                "parse_requests",
                ["owner_id", "id"],
                postgresql_where=sa.text(f"owner_id IS NOT NULL AND {condition}"),
                postgresql_concurrently=True,
            )


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "parse_requests")
    op.drop_table("owners_to_delete")
    op.drop_table("stored_bytes")
    op.drop_table("stored_bytes_changes")
