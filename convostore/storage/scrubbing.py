"""Getting removed text out of every byte of a store's file and of its log.

Three things keep text that no row has any more. The full-text index keeps words until it merges its
segments. Pages keep pieces of rows that were moved, though `secure_delete` overwrites what is
deleted; so the file is written anew. And the write-ahead log keeps old pages until it is cut off.
Source: SQLite, "FTS5", 6.8 and 6.9; "VACUUM"; "PRAGMA wal_checkpoint", TRUNCATE.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from sqlalchemy import column, insert, table
from sqlalchemy.dialects import sqlite

from convostore.errors import StoreBusyError, StoreFullError
from convostore.storage.access import BUSY_TIMEOUT_S, alone
from convostore.storage.scrub_note import OWED, Scrubbed, forget_notes
from convostore.storage.search_tables import full_text
from convostore.storage.statements import Hot, Tx

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_TRACES: Final = "what was removed is out of reach, but traces of it may still be"
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
    try:
        while (done := _round(path, busy_timeout_s)) is None:
            pass  # others may write between two parts of it
    except StoreBusyError as error:
        raise StoreBusyError(
            f"{_TRACES} in {path}: another program is reading or writing it",
            hint="close the other programs that use it, then: convostore db scrub",
        ) from error
    except StoreFullError as error:
        raise StoreFullError(
            f"{_TRACES} in {path}: there is no room to write it anew",
            hint="free as much room as the file takes, then: convostore db scrub",
        ) from error
    return done


def _round(path: Path, busy_timeout_s: float) -> bool | None:
    """Do a part of it; None while there is more, else whether it was owed."""
    with alone(path, busy_timeout_s) as connection:
        noted = _owed(connection)
        if noted is None:
            return False
        if not _merge(connection):
            return None
        _cut_off_log(connection)  # or the room that it takes is missing for the next line
        connection.execute("VACUUM")
        if not _cut_off_log(connection):
            raise StoreBusyError("others read what is in the log")
        connection.execute("BEGIN IMMEDIATE")
        with closing(connection.cursor()) as cursor:
            forget_notes(Tx(cursor, _dialect), "", [Scrubbed(noted=noted)])
        connection.execute("COMMIT")
        return True


def _cut_off_log(connection: sqlite3.Connection) -> bool:
    """Put the log into the file and empty it; tell whether nobody was reading from it."""
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


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
