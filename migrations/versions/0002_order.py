"""Tags, and the two small indexes by which a folder and what was interrupted are found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
IN_FOLDER = sa.text("folder IS NOT NULL")
INTERRUPTED = sa.text("interrupted_count > 0")


def upgrade() -> None:
    op.create_table(
        "tag",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "name"),
        sa.ForeignKeyConstraint(
            ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"]
        ),
    )
    op.create_index("tag_name", "tag", ["owner_id", "name", "conversation_id"])
    op.create_index(
        "conversation_folder",
        "conversation",
        ["owner_id", "folder", "id"],
        sqlite_where=IN_FOLDER,
        postgresql_where=IN_FOLDER,
    )
    op.create_index(
        "conversation_interrupted",
        "conversation",
        ["owner_id", "id"],
        sqlite_where=INTERRUPTED,
        postgresql_where=INTERRUPTED,
    )
