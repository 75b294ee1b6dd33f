"""Getting removed text out of every byte of a store's file and of its log.

Three things keep text that no row has any more. The full-text index keeps words until it merges its
segments. Pages keep pieces of rows that were moved, though `secure_delete` overwrites what is
deleted; so the file is written anew. And the write-ahead log keeps old pages until it is cut off.
Source: SQLite, "FTS5", 6.8 and 6.9; "VACUUM"; "PRAGMA wal_checkpoint", TRUNCATE.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from sqlalchemy import column, insert, table
from sqlalchemy.dialects import sqlite

from convostore.errors import StoreBusyError, StoreFullError
from convostore.storage.access import BUSY_TIMEOUT_S, alone
from convostore.storage.faults import BUSY, FULL, LOCKED, primary_code
from convostore.storage.scrub_note import OWED, Scrubbed, forget_notes
from convostore.storage.search_tables import full_text
from convostore.storage.statements import Hot, Tx

if TYPE_CHECKING:
    from pathlib import Path

_AGAIN: Final = "close the other programs that use it, then: convostore db scrub"
_PAGES: Final = 2_000  # of the index that one transaction merges, at 8 KiB; about 100 ms
_dialect = sqlite.dialect()
_words = table(full_text.name, column("message_words"), column("rank"))
# A negative number of pages also begins a merge of all segments into one.
_MERGE = Hot(insert(_words).values(message_words="merge", rank=-_PAGES))


def scrub(path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> bool:
    """Make the file as if what was removed had never been in it; return whether that was owed.

    Blocks; who writes meanwhile waits, who reads does not. It needs room for a second file of the
    same size. Killed on the way, it is owed as before.

    Raises:
        StoreBusyError: another program writes, or has been reading all the time: what it reads is
            kept for it. Nothing is lost; scrub again.
        StoreFullError: no room for it.
        StoreError: whatever else the system or the database says.
    """
    while True:
        with alone(path, busy_timeout_s) as connection:
            noted = _owed(connection)
            if noted is None:
                return False
            if not _merge(connection):
                continue  # others may write between two parts of it
            try:
                connection.execute("VACUUM")
                busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.OperationalError as error:
                raise _unfinished(path, error) from error
            if busy:
                raise _in_the_way(path)
            connection.execute("BEGIN IMMEDIATE")
            with closing(connection.cursor()) as cursor:
                forget_notes(Tx(cursor, _dialect), "", [Scrubbed(noted=noted)])
            connection.execute("COMMIT")
            return True


def _owed(connection: sqlite3.Connection) -> str | None:
    with closing(connection.cursor()) as cursor:
        rows = Tx(cursor, _dialect).rows(OWED)
    return str(rows[0][0]) if rows else None


def _merge(connection: sqlite3.Connection) -> bool:
    """Merge some of the full-text index; tell whether all of it is one segment now."""
    before = connection.total_changes
    connection.execute("BEGIN IMMEDIATE")
    with closing(connection.cursor()) as cursor:
        Tx(cursor, _dialect).run(_MERGE)
    connection.execute("COMMIT")
    # Source: SQLite, "FTS5", 6.8: less than two changes mean that there was nothing to merge.
    return connection.total_changes - before < 2  # noqa: PLR2004 - as the line above says


def _unfinished(path: Path, error: sqlite3.OperationalError) -> Exception:
    code = primary_code(error)
    if code in {BUSY, LOCKED}:
        return _in_the_way(path)
    if code == FULL:
        return StoreFullError(
            f"there is no room to write {path} anew: what was removed is out of reach, but traces"
            " of it are still in the file",
            hint="free as much room as the file takes, then: convostore db scrub",
        )
    return error


def _in_the_way(path: Path) -> StoreBusyError:
    return StoreBusyError(
        f"what was removed is out of reach, but traces of it are still in {path}:"
        " another program is reading or writing it",
        hint=_AGAIN,
    )
