"""Looking for damage in a file: what SQLite can tell, and what the records promise.

Reads only, so that nobody has to wait.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from sqlalchemy.dialects import sqlite

from convostore.storage.access import BUSY_TIMEOUT_S, look, our_errors
from convostore.storage.faults import CORRUPT, NOTADB, primary_code
from convostore.storage.files import prepare
from convostore.storage.soundness import CheckReport, Findings, look_at_records
from convostore.storage.statements import Tx
from convostore.storage.tables import REVISION

if TYPE_CHECKING:
    from pathlib import Path

# Source: SQLite, "Write-Ahead Logging", the WAL-reset bug: rare corruption when two connections
# checkpoint while a third commits.
_WAL_RESET_BUG: Final = ((3, 7, 0), (3, 51, 2))
_dialect = sqlite.dialect()


def check(path: Path, *, deep: bool, busy_timeout_s: float = BUSY_TIMEOUT_S) -> CheckReport:
    """Look for damage in a store. Blocks; changes nothing; others may go on writing.

    Args:
        path: the database file.
        deep: also derive every message's hash again and read every stored value.
        busy_timeout_s: how long to wait for a program that holds the file.

    Raises:
        StoreOpenError: it is no store, or cannot be opened.
        StoreCorruptError: it is too damaged to be opened.
        StoreBusyError: another program held it all the time.
    """
    prepare(path, create=False)
    findings = Findings(deep=deep)
    with our_errors(path), look(path, busy_timeout_s) as (connection, revision):
        journal_mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        remarks = _remarks(revision)
        try:
            _engine(connection, findings)
            if revision == REVISION:
                _records(connection, findings)
        except sqlite3.DatabaseError as error:
            if primary_code(error) not in {CORRUPT, NOTADB}:
                raise
            findings.add(f"the rest cannot be read: {error}")
    return findings.report(
        remarks=remarks,
        revision=revision,
        engine=f"SQLite {sqlite3.sqlite_version}",
        journal_mode=journal_mode,
    )


def _remarks(revision: str) -> tuple[str, ...]:
    remarks = []
    oldest, newest = _WAL_RESET_BUG
    if oldest <= sqlite3.sqlite_version_info <= newest:
        remarks.append(
            f"SQLite {sqlite3.sqlite_version} has a rare fault in WAL mode; 3.51.3 does not"
        )
    if revision != REVISION:
        remarks.append(f"its schema is {revision}, ours {REVISION}: the records were not looked at")
    return tuple(remarks)


def _engine(connection: sqlite3.Connection, findings: Findings) -> None:
    """Ask SQLite; `quick_check` would miss nine in ten flipped bits."""
    for (line,) in connection.execute("PRAGMA integrity_check"):
        if line != "ok":
            findings.add(f"the file: {line}")
    for table, rowid, above, _ in connection.execute("PRAGMA foreign_key_check"):
        findings.add(f"table {table}, row {rowid}: what it belongs to is not in {above}")


def _records(connection: sqlite3.Connection, findings: Findings) -> None:
    # A flipped bit may leave bytes that are no UTF-8; such a text has to be read to be told.
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    look_at_records(
        Tx(connection.cursor(), _dialect),
        findings,
        begin=lambda: connection.execute("BEGIN"),
        end=lambda: connection.execute("ROLLBACK"),
    )
