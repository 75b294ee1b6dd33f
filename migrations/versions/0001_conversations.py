"""Conversations, their messages, the journal of running replies, and who owns them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _owners()
    _conversations()
    _messages()
    _of_a_message()


def _owners() -> None:
    op.create_table(
        "owner",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("owner_name", "owner", ["name"], unique=True)
    op.create_table(
        "store_meta",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _conversations() -> None:
    op.create_table(
        "conversation",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("handle", TEXT, nullable=False),
        sa.Column("key", TEXT),
        sa.Column("title", TEXT),
        sa.Column("title_source", TEXT),
        sa.Column("provider", TEXT),
        sa.Column("model", TEXT),
        sa.Column("anonymous_user_id", TEXT),
        sa.Column("settings", TEXT),
        sa.Column("metadata", TEXT),
        sa.Column("head_seq", sa.Integer),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.Column("message_count", sa.Integer, nullable=False),
        sa.Column("interrupted_count", sa.Integer, nullable=False),
        sa.Column("folder", TEXT),
        sa.Column("pinned", sa.Integer, nullable=False),
        sa.Column("archived_at_ms", sa.BigInteger),
        sa.Column("deleted_at_ms", sa.BigInteger),
        sa.Column("expires_at_ms", sa.BigInteger),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
        sa.Column("source", TEXT),
        sa.Column("source_id", TEXT),
        sa.PrimaryKeyConstraint("owner_id", "id"),
    )
    op.create_index("conversation_handle", "conversation", ["owner_id", "handle"], unique=True)
    keyed = sa.text("key IS NOT NULL")
    op.create_index(
        "conversation_key",
        "conversation",
        ["owner_id", "key"],
        unique=True,
        sqlite_where=keyed,
        postgresql_where=keyed,
    )
    in_lists = sa.text("deleted_at_ms IS NULL AND archived_at_ms IS NULL")
    op.create_index(
        "conversation_list",
        "conversation",
        ["owner_id", "pinned", "updated_at_ms", "id"],
        sqlite_where=in_lists,
        postgresql_where=in_lists,
    )
    archived = sa.text("deleted_at_ms IS NULL AND archived_at_ms IS NOT NULL")
    op.create_index(
        "conversation_archive",
        "conversation",
        ["owner_id", "updated_at_ms", "id"],
        sqlite_where=archived,
        postgresql_where=archived,
    )


def _messages() -> None:
    op.create_table(
        "message",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("parent_seq", sa.Integer),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("author", TEXT),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("parts", TEXT),
        sa.Column("provider", TEXT),
        sa.Column("model", TEXT),
        sa.Column("finish_reason", TEXT),
        sa.Column("error", TEXT),
        sa.Column("idempotency_key", TEXT),
        sa.Column("lease", TEXT),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("finished_at_ms", sa.BigInteger),
        sa.Column("content_hash", TEXT),
        sa.Column("source_id", TEXT),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "seq"),
        sa.ForeignKeyConstraint(
            ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"]
        ),
    )
    op.create_index("message_id", "message", ["owner_id", "id"], unique=True)
    once = sa.text("idempotency_key IS NOT NULL")
    op.create_index(
        "message_once",
        "message",
        ["owner_id", "idempotency_key"],
        unique=True,
        sqlite_where=once,
        postgresql_where=once,
    )
    running = sa.text("status = 'streaming'")
    op.create_index(
        "message_running",
        "message",
        ["owner_id", "conversation_id", "seq"],
        sqlite_where=running,
        postgresql_where=running,
    )


def _of_a_message() -> None:
    message_key = ["message.owner_id", "message.conversation_id", "message.seq"]
    op.create_table(
        "journal",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("message_seq", sa.Integer, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "message_seq", "seq"),
        sa.ForeignKeyConstraint(["owner_id", "conversation_id", "message_seq"], message_key),
    )
    op.create_table(
        "remote_thread",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("message_seq", sa.Integer, nullable=False),
        sa.Column("server_url", TEXT, nullable=False),
        sa.Column("dialect", TEXT, nullable=False),
        sa.Column("remote_id", TEXT, nullable=False),
        sa.Column("user_remote_id", TEXT),
        sa.Column("root_id", TEXT),
        sa.Column("same_text", sa.Integer, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "message_seq"),
        sa.ForeignKeyConstraint(["owner_id", "conversation_id", "message_seq"], message_key),
    )
    op.create_table(
        "usage",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("message_seq", sa.Integer, nullable=False),
        sa.Column("provider", TEXT),
        sa.Column("model", TEXT),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cached_tokens", sa.BigInteger),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("cost_nano", sa.BigInteger),
        sa.PrimaryKeyConstraint("owner_id", "id"),
    )
    op.create_index("usage_message", "usage", ["owner_id", "conversation_id", "message_seq"])
