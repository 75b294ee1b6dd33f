"""Look into a store's file from outside, as another process would."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def rows(path: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return what a second connection reads, committed rows only."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql, values).fetchall()


def change(path: Path, sql: str, *values: Any) -> None:
    """Write behind the store's back, where no writer of ours is at work."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql, values)


def journaled(path: Path) -> str:
    """Return the text that the journal holds, in order."""
    return "".join(text for (text,) in rows(path, "SELECT text FROM journal ORDER BY seq"))


def replies(path: Path) -> list[tuple[str, str]]:
    """Return (status, text) of all assistant messages, in order of storing."""
    return rows(path, "SELECT status, text FROM message WHERE role = 'assistant' ORDER BY seq")
