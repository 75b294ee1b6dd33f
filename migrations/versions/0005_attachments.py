"""What messages have attached: the bytes in pieces, once for each owner, and who refers to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
WHOLE = sa.text("sha256 IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "attachment",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("sha256", TEXT),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("used_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "id"),
    )
    op.create_index(
        "attachment_content",
        "attachment",
        ["owner_id", "sha256"],
        unique=True,
        sqlite_where=WHOLE,
        postgresql_where=WHOLE,
    )
    op.create_table(
        "attachment_chunk",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("attachment_id", TEXT, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "attachment_id", "number"),
        sa.ForeignKeyConstraint(
            ["owner_id", "attachment_id"], ["attachment.owner_id", "attachment.id"]
        ),
    )
    op.create_table(
        "message_attachment",
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("message_seq", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "message_seq", "number"),
        sa.ForeignKeyConstraint(
            ["owner_id", "conversation_id", "message_seq"],
            ["message.owner_id", "message.conversation_id", "message.seq"],
        ),
    )
    op.create_index("message_attachment_content", "message_attachment", ["owner_id", "sha256"])
