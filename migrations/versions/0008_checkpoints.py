"""Checkpoints of graphs: their states, what their steps wrote, and the items that both are made of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
OF_A_RUN = sa.text("run_id IS NOT NULL")


def _table(name: str, keys: tuple[str, ...], *columns: sa.Column[object]) -> None:
    op.create_table(
        name,
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", *keys),
        sa.ForeignKeyConstraint(
            ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"]
        ),
        sqlite_with_rowid=False,
    )


def upgrade() -> None:
    _table(
        "checkpoint",
        ("namespace", "id"),
        sa.Column("namespace", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("parent_id", TEXT),
        sa.Column("run_id", TEXT),
        sa.Column("message_seq", sa.Integer),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("metadata", TEXT, nullable=False),
        sa.Column("history", TEXT),
    )
    op.create_index(
        "checkpoint_run",
        "checkpoint",
        ["owner_id", "run_id"],
        sqlite_where=OF_A_RUN,
        postgresql_where=OF_A_RUN,
    )
    _table(
        "checkpoint_write",
        ("namespace", "checkpoint_id", "task_id", "number"),
        sa.Column("namespace", TEXT, nullable=False),
        sa.Column("checkpoint_id", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("task_path", TEXT, nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
    )
    _table(
        "checkpoint_item",
        ("space", "number"),
        sa.Column("space", TEXT, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("message_seq", sa.Integer),
        sa.Column("data", TEXT, nullable=False),
    )
