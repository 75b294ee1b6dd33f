"""The tables and indexes (SQLAlchemy Core), and the revision that made them.

Rules that keep other engines open, held by a test over this metadata: the owner stands first in
every key and index; only Text, Integer, BigInteger and LargeBinary; no triggers, no sequences.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    TextClause,
    text,
)

from convostore.storage.checkpoint_tables import checkpoint, checkpoint_item, checkpoint_write
from convostore.storage.schema import METADATA, TEXT

metadata: Final = METADATA
REVISION: Final = "0010"  # the newest migration; a test holds it equal to alembic's head
VERSION_TABLE: Final = "convostore_version"
CHECKPOINTS: Final = (checkpoint, checkpoint_write, checkpoint_item)  # of a conversation
OWNERLESS: Final = frozenset({"owner", "store_meta"})  # they say who the owners are


def _over(rows: TextClause, name: str, *columns: str, unique: bool = False) -> Index:
    """Return an index of those rows alone, the same on both engines."""
    return Index(name, *columns, unique=unique, sqlite_where=rows, postgresql_where=rows)


owner = Table(
    "owner",
    metadata,
    Column("id", TEXT, nullable=False),
    Column("name", TEXT, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("id"),
    Index("owner_name", "name", unique=True),
)

store_meta = Table(
    "store_meta",
    metadata,
    Column("name", TEXT, nullable=False),
    Column("value", TEXT, nullable=False),
    PrimaryKeyConstraint("name"),
)

_IN_LISTS = text("deleted_at_ms IS NULL AND archived_at_ms IS NULL")
_ARCHIVED = text("deleted_at_ms IS NULL AND archived_at_ms IS NOT NULL")
_IN_BIN = text("deleted_at_ms IS NOT NULL")
_EXPIRING = text("expires_at_ms IS NOT NULL")
_KEYED = text("key IS NOT NULL")
_IN_FOLDER = text("folder IS NOT NULL")
_ONCE = text("idempotency_key IS NOT NULL")
_SCOPED = text("scope IS NOT NULL")
_WRITTEN = text("author_id IS NOT NULL")
_WHOLE = text("sha256 IS NOT NULL")
_FROM_ELSEWHERE = text("source_id IS NOT NULL")
# A message that does not stand below the one stored before it.
BRANCHING: Final = text("coalesce(message.parent_seq, 0) <> message.seq - 1")
_BRANCHING = text("coalesce(parent_seq, 0) <> seq - 1")
# Written out, for a value given apart from the statement does not find a partial index.
IS_RUNNING: Final = text("status = 'streaming'")
INTERRUPTED: Final = text("interrupted_count > 0")

conversation = Table(
    "conversation",
    metadata,
    Column("owner_id", TEXT, nullable=False),
    Column("id", TEXT, nullable=False),
    Column("handle", TEXT, nullable=False),
    Column("key", TEXT),
    Column("title", TEXT),
    Column("title_source", TEXT),
    Column("provider", TEXT),
    Column("model", TEXT),
    Column("anonymous_user_id", TEXT),
    Column("settings", TEXT),
    Column("metadata", TEXT),
    Column("head_seq", Integer),
    Column("last_seq", Integer, nullable=False),
    Column("message_count", Integer, nullable=False),
    Column("interrupted_count", Integer, nullable=False),
    Column("folder", TEXT),
    Column("pinned", Integer, nullable=False),
    Column("archived_at_ms", BigInteger),
    Column("deleted_at_ms", BigInteger),
    Column("expires_at_ms", BigInteger),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("source", TEXT),
    Column("source_id", TEXT),
    Column(
        "changed_at_ms", BigInteger
    ),  # imported, restored or undeleted: no activity, but new here
    Column("listed_at_ms", BigInteger),  # how it is listed, or where it stands, was chosen last
    Column("scope", TEXT),
    PrimaryKeyConstraint("owner_id", "id"),
    Index("conversation_handle", "owner_id", "handle", unique=True),
    _over(_KEYED, "conversation_key", "owner_id", "key", unique=True),
    _over(_IN_LISTS, "conversation_list", "owner_id", "pinned", "updated_at_ms", "id"),
    _over(_ARCHIVED, "conversation_archive", "owner_id", "updated_at_ms", "id"),
    _over(_IN_BIN, "conversation_bin", "owner_id", "deleted_at_ms", "id"),
    _over(_EXPIRING, "conversation_expiry", "owner_id", "expires_at_ms", "id"),
    # Neither holds a time: on SQLite no turn moves them.
    _over(_IN_FOLDER, "conversation_folder", "owner_id", "folder", "id"),
    _over(INTERRUPTED, "conversation_interrupted", "owner_id", "id"),
    # Not unique: what is forked several times is the source of each of its forks.
    _over(_FROM_ELSEWHERE, "conversation_source", "owner_id", "source", "source_id"),
    # Of rooms that were named anew or begun anew: no other has a scope.
    _over(_SCOPED, "conversation_scope", "owner_id", "scope", "id"),
)

tag = Table(
    "tag",
    metadata,
    Column("owner_id", TEXT, nullable=False),
    Column("conversation_id", TEXT, nullable=False),
    Column("name", TEXT, nullable=False),
    PrimaryKeyConstraint("owner_id", "conversation_id", "name"),
    ForeignKeyConstraint(
        ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"]
    ),
    Index("tag_name", "owner_id", "name", "conversation_id"),
)

message = Table(
    "message",
    metadata,
    Column("owner_id", TEXT, nullable=False),
    Column("conversation_id", TEXT, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("id", TEXT, nullable=False),
    Column("parent_seq", Integer),
    Column("role", TEXT, nullable=False),
    Column("author", TEXT),
    Column("status", TEXT, nullable=False),
    Column("text", TEXT, nullable=False),
    Column("parts", TEXT),
    Column("provider", TEXT),
    Column("model", TEXT),
    Column("finish_reason", TEXT),
    Column("error", TEXT),
    Column("idempotency_key", TEXT),
    Column("lease", TEXT),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("finished_at_ms", BigInteger),
    Column("content_hash", TEXT),
    Column("source_id", TEXT),
    Column("author_id", TEXT),
    PrimaryKeyConstraint("owner_id", "conversation_id", "seq"),
    ForeignKeyConstraint(
        ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"]
    ),
    Index("message_id", "owner_id", "id", unique=True),
    _over(_ONCE, "message_once", "owner_id", "idempotency_key", unique=True),
    _over(IS_RUNNING, "message_running", "owner_id", "conversation_id", "seq"),
    # Of a conversation that is one line it holds nothing.
    _over(_BRANCHING, "message_branching", "owner_id", "conversation_id", "seq"),
    _over(_WRITTEN, "message_author", "owner_id", "author_id", "conversation_id", "seq"),
)

journal = Table(
    "journal",
    metadata,
    Column("owner_id", TEXT, nullable=False),
    Column("conversation_id", TEXT, nullable=False),
    Column("message_seq", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("text", TEXT, nullable=False),
    PrimaryKeyConstraint("owner_id", "conversation_id", "message_seq", "seq"),
    ForeignKeyConstraint(
        ["owner_id", "conversation_id", "message_seq"],
        ["message.owner_id", "message.conversation_id", "message.seq"],
    ),
)

remote_thread = Table(
    "remote_thread",
    metadata,
    Column("owner_id", TEXT, nullable=False),
    Column("conversation_id", TEXT, nullable=False),
    Column("message_seq", Integer, nullable=False),
    Column("server_url", TEXT, nullable=False),
    Column("dialect", TEXT, nullable=False),
    Column("remote_id", TEXT, nullable=False),
    Column("user_remote_id", TEXT),
    Column("root_id", TEXT),
    Column("same_text", Integer, nullable=False),
    Column("expires_at_ms", BigInteger),
    PrimaryKeyConstraint("owner_id", "conversation_id", "message_seq"),
    ForeignKeyConstraint(
        ["owner_id", "conversation_id", "message_seq"],
        ["message.owner_id", "message.conversation_id", "message.seq"],
    ),
)

summary = Table(
    "summary",
    metadata,
    Column("owner_id", TEXT, nullable=False),
    Column("conversation_id", TEXT, nullable=False),
    Column("message_seq", Integer, nullable=False),  # the last that it sums up
    Column("text", TEXT),  # NULL while it is being made
    Column("lease", TEXT),  # of who makes it; then its token alone
    Column("provider", TEXT),
    Column("model", TEXT),
    Column("created_at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("owner_id", "conversation_id", "message_seq"),
    ForeignKeyConstraint(
        ["owner_id", "conversation_id", "message_seq"],
        ["message.owner_id", "message.conversation_id", "message.seq"],
    ),
)

usage = Table(
    "usage",
    metadata,
    Column("owner_id", TEXT, nullable=False),
    Column("id", TEXT, nullable=False),
    Column("conversation_id", TEXT, nullable=False),
    Column("message_seq", Integer, nullable=False),
    Column("provider", TEXT),
    Column("model", TEXT),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("cost_nano", BigInteger),  # billionths of the provider's currency unit
    PrimaryKeyConstraint("owner_id", "id"),
    Index("usage_message", "owner_id", "conversation_id", "message_seq"),
)

attachment = Table(
    "attachment",
    metadata,
    Column("owner_id", TEXT, nullable=False),
    Column("id", TEXT, nullable=False),
    Column("sha256", TEXT),  # NULL while it is on its way in
    Column("size", BigInteger, nullable=False),
    Column("used_at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("owner_id", "id"),
    _over(_WHOLE, "attachment_content", "owner_id", "sha256", unique=True),
)

attachment_chunk = Table(
    "attachment_chunk",
    metadata,
    Column("owner_id", TEXT, nullable=False),
    Column("attachment_id", TEXT, nullable=False),
    Column("number", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("owner_id", "attachment_id", "number"),
    ForeignKeyConstraint(["owner_id", "attachment_id"], ["attachment.owner_id", "attachment.id"]),
)

message_attachment = Table(
    "message_attachment",
    metadata,
    Column("owner_id", TEXT, nullable=False),
    Column("conversation_id", TEXT, nullable=False),
    Column("message_seq", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("sha256", TEXT, nullable=False),
    PrimaryKeyConstraint("owner_id", "conversation_id", "message_seq", "number"),
    ForeignKeyConstraint(
        ["owner_id", "conversation_id", "message_seq"],
        ["message.owner_id", "message.conversation_id", "message.seq"],
    ),
    Index("message_attachment_content", "owner_id", "sha256"),
)

source_record = Table(
    "source_record",
    metadata,
    Column("owner_id", TEXT, nullable=False),
    Column("conversation_id", TEXT, nullable=False),
    Column("seq", Integer, nullable=False),  # of the message; 0 is the conversation itself
    Column("data", LargeBinary, nullable=False),  # the origin's JSON; see `originals`
    PrimaryKeyConstraint("owner_id", "conversation_id", "seq"),
    ForeignKeyConstraint(
        ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"]
    ),
)

tombstone = Table(
    "tombstone",
    metadata,
    Column("owner_id", TEXT, nullable=False),
    Column("source_hash", TEXT, nullable=False),  # of what was purged; see `tombstones`
    PrimaryKeyConstraint("owner_id", "source_hash"),
)

search_pending = Table(
    "search_pending",
    metadata,
    Column("owner_id", TEXT, nullable=False),
    Column("conversation_id", TEXT, nullable=False),
    Column("seq", Integer, nullable=False),
    PrimaryKeyConstraint("owner_id", "conversation_id", "seq"),
)
