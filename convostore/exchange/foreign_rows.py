"""SQLite files of other programs: opened to be read only, while those programs go on writing.

No read stays open between two conversations, so nobody ever waits for us longer than for one.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Row: TypeAlias = dict[str, Any]

MAGIC: Final = b"SQLite format 3\x00"
_WAIT_S: Final = 10.0  # for a program that writes
_TABLES: Final = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
)
_SETTINGS: Final = (
    "PRAGMA trusted_schema = OFF",
    "PRAGMA query_only = ON",
    "PRAGMA cell_size_check = ON",
    "PRAGMA schema_version",  # reads the file
)


class Rows:
    """A SQLite file of another program, open for reading.

    Args:
        path: the file.
        most_bytes: of one value in it; None for as many as SQLite itself allows.

    Attributes:
        tables: the names of what are really tables: no view of somebody's making is ever asked.

    Raises:
        sqlite3.Error: it cannot be read.
    """

    def __init__(self, path: Path, most_bytes: int | None = None) -> None:
        self.path = path
        self._connection = _connected(path)
        if most_bytes is not None:
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, most_bytes)
        try:
            self.tables = frozenset(row["name"] for row in self.all(_TABLES))
        except sqlite3.Error:
            self.close()
            raise

    def all(self, statement: str, *values: object) -> list[Row]:
        """Return all rows, so that no read stays open.

        Raises:
            sqlite3.Error: they cannot be read.
        """
        try:
            return self._connection.execute(statement, values).fetchall()
        except UnicodeDecodeError:  # in what SQLite says of it
            raise sqlite3.DatabaseError("the file is damaged") from None

    def of(self, table: str, statement: str, *values: object) -> list[Row]:
        """Return all rows; none where the file is older than the table.

        Raises:
            sqlite3.Error: they cannot be read.
        """
        return self.all(statement, *values) if table in self.tables else []

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let what is read in between be of one moment."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.rollback()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _connected(path: Path) -> sqlite3.Connection:
    """Connect for reading alone; a file that nobody can write is taken for one that nobody writes."""
    where = path.absolute().as_uri()
    try:
        return _checked(f"{where}?mode=ro")
    except sqlite3.OperationalError:
        if Path(f"{path}-wal").exists() or Path(f"{path}-journal").exists():
            raise
        return _checked(f"{where}?mode=ro&immutable=1")


def _checked(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.row_factory = _row
        connection.text_factory = _text
        for statement in _SETTINGS:
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def _row(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
