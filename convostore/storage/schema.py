"""What every declaration of a table needs: where it is registered, and what a text column is."""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData, Text

# Compared byte by byte, as SQLite does, so that ranges, orders and cursors are the same everywhere.
TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")

METADATA: Final = MetaData()
