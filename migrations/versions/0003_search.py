"""The search index, empty, and a mark at everything that is there to be found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

# One mark stands for all messages of a conversation from its number on; 0 is the title.
MARK_MESSAGES = """
    INSERT INTO search_pending (owner_id, conversation_id, seq)
    SELECT owner_id, conversation_id, min(seq) FROM message GROUP BY owner_id, conversation_id
"""
MARK_TITLES = """
    INSERT INTO search_pending (owner_id, conversation_id, seq)
    SELECT owner_id, id, 0 FROM conversation
    WHERE title IS NOT NULL AND title_source <> 'fallback'
"""


def upgrade() -> None:
    op.create_table(
        "search_pending",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "seq"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _on_sqlite()
    else:
        _on_postgresql()
    op.execute(MARK_MESSAGES)
    op.execute(MARK_TITLES)


def _on_sqlite() -> None:
    op.create_table(
        "message_search",
        sa.Column("docid", sa.Integer, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("docid"),
    )
    op.create_index(
        "message_search_place",
        "message_search",
        ["owner_id", "conversation_id", "seq"],
        unique=True,
    )
    op.execute(
        "CREATE VIRTUAL TABLE message_words"
        " USING fts5(text, owner, reasoning, content='', tokenize='ascii')"
    )


def _on_postgresql() -> None:
    op.create_table(
        "message_search",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("words", TSVECTOR, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "seq"),
    )
    op.create_index(
        "message_search_time", "message_search", ["owner_id", "at_ms", "conversation_id", "seq"]
    )
    op.create_index("message_search_words", "message_search", ["words"], postgresql_using="gin")
