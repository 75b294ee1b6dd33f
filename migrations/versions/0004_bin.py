"""The indexes of the bin, and of what goes by itself; no turn moves them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

IN_BIN = sa.text("deleted_at_ms IS NOT NULL")
EXPIRING = sa.text("expires_at_ms IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "conversation_bin",
        "conversation",
        ["owner_id", "deleted_at_ms", "id"],
        sqlite_where=IN_BIN,
        postgresql_where=IN_BIN,
    )
    op.create_index(
        "conversation_expiry",
        "conversation",
        ["owner_id", "expires_at_ms", "id"],
        sqlite_where=EXPIRING,
        postgresql_where=EXPIRING,
    )
