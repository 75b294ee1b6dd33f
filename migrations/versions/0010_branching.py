"""Where conversations branch: whoever asks whether one does need not read its messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BRANCHING = sa.text("coalesce(parent_seq, 0) <> seq - 1")


def upgrade() -> None:
    op.create_index(
        "message_branching",
        "message",
        ["owner_id", "conversation_id", "seq"],
        sqlite_where=BRANCHING,
        postgresql_where=BRANCHING,
    )
