"""Conversations, their messages, the journal of running replies, and who owns them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _owners()
    _conversations()
    _messages()
    _of_a_message()


def _owners() -> None:
    op.create_table(
        "owner",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("owner_name", "owner", ["name"], unique=True)
    op.create_table(
        "store_meta",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _conversations() -> None:
    op.create_table(
        "conversation",
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("title", sa.Text),
        sa.Column("title_source", sa.Text),
        sa.Column("provider", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("anonymous_user_id", sa.Text),
        sa.Column("settings", sa.Text),
        sa.Column("metadata", sa.Text),
        sa.Column("head_seq", sa.Integer),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.Column("message_count", sa.Integer, nullable=False),
        sa.Column("interrupted_count", sa.Integer, nullable=False),
        sa.Column("folder", sa.Text),
        sa.Column("pinned", sa.Integer, nullable=False),
        sa.Column("archived_at_ms", sa.BigInteger),
        sa.Column("deleted_at_ms", sa.BigInteger),
        sa.Column("expires_at_ms", sa.BigInteger),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text),
        sa.Column("source_id", sa.Text),
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
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("parent_seq", sa.Integer),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("author", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("parts", sa.Text),
        sa.Column("provider", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("finish_reason", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("lease", sa.Text),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("finished_at_ms", sa.BigInteger),
        sa.Column("content_hash", sa.Text),
        sa.Column("source_id", sa.Text),
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
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.Column("message_seq", sa.Integer, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "message_seq", "seq"),
        sa.ForeignKeyConstraint(["owner_id", "conversation_id", "message_seq"], message_key),
    )
    op.create_table(
        "remote_thread",
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.Column("message_seq", sa.Integer, nullable=False),
        sa.Column("server_url", sa.Text, nullable=False),
        sa.Column("dialect", sa.Text, nullable=False),
        sa.Column("remote_id", sa.Text, nullable=False),
        sa.Column("user_remote_id", sa.Text),
        sa.Column("root_id", sa.Text),
        sa.Column("same_text", sa.Integer, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "message_seq"),
        sa.ForeignKeyConstraint(["owner_id", "conversation_id", "message_seq"], message_key),
    )
    op.create_table(
        "usage",
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.Column("message_seq", sa.Integer, nullable=False),
        sa.Column("provider", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cached_tokens", sa.BigInteger),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("cost_nano", sa.BigInteger),
        sa.PrimaryKeyConstraint("owner_id", "id"),
    )
    op.create_index("usage_message", "usage", ["owner_id", "conversation_id", "message_seq"])
