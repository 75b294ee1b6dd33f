"""Conversations found by where they came from, the origin's own JSON, what stays deleted, what changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
FROM_ELSEWHERE = sa.text("source_id IS NOT NULL")


def upgrade() -> None:
    op.add_column("conversation", sa.Column("changed_at_ms", sa.BigInteger))
    op.add_column("conversation", sa.Column("listed_at_ms", sa.BigInteger))
    op.create_index(
        "conversation_source",
        "conversation",
        ["owner_id", "source", "source_id"],
        sqlite_where=FROM_ELSEWHERE,
        postgresql_where=FROM_ELSEWHERE,
    )
    op.create_table(
        "source_record",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "seq"),
        sa.ForeignKeyConstraint(
            ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"]
        ),
    )
    op.create_table(
        "tombstone",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("source_hash", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "source_hash"),
    )
