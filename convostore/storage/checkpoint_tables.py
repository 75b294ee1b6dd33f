"""The tables of checkpoints: the state of a graph after each of its steps, and what it is made of.

A value that may be large is an item, stored once for its conversation; a checkpoint and a write
name it by a number. So a list that grows costs what is added to it, and a fork costs nothing. Rows
are small and found by their whole key: on SQLite they lie in it.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    text,
)

from convostore.storage.schema import METADATA, TEXT

_OF_A_RUN = text("run_id IS NOT NULL")

checkpoint = Table(
    "checkpoint",
    METADATA,
    Column("owner_id", TEXT, nullable=False),
    Column("conversation_id", TEXT, nullable=False),
    Column("namespace", TEXT, nullable=False),  # of a graph within the graph; empty is the graph
    Column("id", TEXT, nullable=False),  # in order of time
    Column("parent_id", TEXT),
    Column("run_id", TEXT),
    Column("message_seq", Integer),  # the message at which its conversation stood
    Column("state", TEXT, nullable=False),  # JSON, as are the next two
    Column("metadata", TEXT, nullable=False),
    Column("history", TEXT),  # of channels kept as writes, where those before it are gone
    PrimaryKeyConstraint("owner_id", "conversation_id", "namespace", "id"),
    ForeignKeyConstraint(
        ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"]
    ),
    Index(
        "checkpoint_run",
        "owner_id",
        "run_id",
        sqlite_where=_OF_A_RUN,
        postgresql_where=_OF_A_RUN,
    ),
    sqlite_with_rowid=False,
)

# Hangs on the conversation: a write may be stored before the checkpoint that it belongs to.
checkpoint_write = Table(
    "checkpoint_write",
    METADATA,
    Column("owner_id", TEXT, nullable=False),
    Column("conversation_id", TEXT, nullable=False),
    Column("namespace", TEXT, nullable=False),
    Column("checkpoint_id", TEXT, nullable=False),
    Column("task_id", TEXT, nullable=False),
    Column("number", Integer, nullable=False),  # below 0: an error, an interrupt ...
    Column("task_path", TEXT, nullable=False),
    Column("channel", TEXT, nullable=False),
    Column("value", TEXT, nullable=False),  # JSON
    PrimaryKeyConstraint(
        "owner_id", "conversation_id", "namespace", "checkpoint_id", "task_id", "number"
    ),
    ForeignKeyConstraint(
        ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"]
    ),
    sqlite_with_rowid=False,
)

checkpoint_item = Table(
    "checkpoint_item",
    METADATA,
    Column("owner_id", TEXT, nullable=False),
    Column("conversation_id", TEXT, nullable=False),
    Column("space", TEXT, nullable=False),  # numbers are handed out apart in each
    Column("number", Integer, nullable=False),
    Column("content_hash", TEXT, nullable=False),  # empty once it was forgotten
    Column("message_seq", Integer),  # the message that shows it
    Column("data", TEXT, nullable=False),  # JSON
    PrimaryKeyConstraint("owner_id", "conversation_id", "space", "number"),
    ForeignKeyConstraint(
        ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"]
    ),
    sqlite_with_rowid=False,
)
