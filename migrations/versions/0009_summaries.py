"""What a provider made of the beginning of a conversation, to be told in its place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "summary",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("message_seq", sa.Integer, nullable=False),
        sa.Column("text", TEXT),
        sa.Column("lease", TEXT),
        sa.Column("provider", TEXT),
        sa.Column("model", TEXT),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "message_seq"),
        sa.ForeignKeyConstraint(
            ["owner_id", "conversation_id", "message_seq"],
            ["message.owner_id", "message.conversation_id", "message.seq"],
        ),
    )
