"""Rooms of bots: who wrote a message by an id that stays, and what repeats are known by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SCOPED = sa.text("scope IS NOT NULL")
WRITTEN = sa.text("author_id IS NOT NULL")


def upgrade() -> None:
    op.add_column("conversation", sa.Column("scope", TEXT))
    op.create_index(
        "conversation_scope",
        "conversation",
        ["owner_id", "scope", "id"],
        sqlite_where=SCOPED,
        postgresql_where=SCOPED,
    )
    op.add_column("message", sa.Column("author_id", TEXT))
    # Of a name so long that no index holds it, nobody is known by it.
    op.execute("UPDATE message SET author_id = author WHERE length(author) <= 500")
    op.create_index(
        "message_author",
        "message",
        ["owner_id", "author_id", "conversation_id", "seq"],
        sqlite_where=WRITTEN,
        postgresql_where=WRITTEN,
    )
