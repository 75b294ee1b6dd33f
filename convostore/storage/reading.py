"""Opening a store's file to read it, also where SQLite cannot put its own files beside it.

A store in WAL mode is read with the help of a `-shm` file. Where the folder takes none, for it is
read-only or its disk is full, there are two other ways, each as true as the first:

.. code-block:: text

    alone   the file may be written: hold it for as long as it is read; no -shm is needed then
    still   there is no write-ahead log: the file itself is all there is, and nobody writes to it

Source: SQLite, "Write-Ahead Logging", "Use of WAL Without Shared-Memory" and "Read-Only Databases".
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, TypeVar

from convostore.errors import StoreBusyError
from convostore.storage.faults import CANTOPEN, FULL, IOERR, READONLY, primary_code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from convostore.storage.statements import Row

ResultT = TypeVar("ResultT")
NO_PLACE = frozenset({READONLY, CANTOPEN, FULL, IOERR})  # what SQLite says of a missing -shm


def connect_reader(
    path: Path, timeout_s: float, first: Callable[[sqlite3.Connection], ResultT]
) -> tuple[sqlite3.Connection, ResultT]:
    """Open *path* to read it, in whatever way it can be read, and do what is to be *first*.

    It is opened for writing where that is allowed, for only so can SQLite roll back what a killed
    program of another kind left half done. A missing file is not made.

    Raises:
        StoreBusyError: another program wrote to the file meanwhile, against all appearance.
        sqlite3.Error: it cannot be read in any way; what the first way said.
    """
    try:
        return _opened(path, "mode=rw", timeout_s, first)
    except sqlite3.Error as error:
        if primary_code(error) not in NO_PLACE or not path.is_file():
            raise
        try:
            return _opened_apart(path, timeout_s, first)
        except sqlite3.Error:
            raise error from None


def read_apart(path: Path, timeout_s: float, sql: str, values: Sequence[Any]) -> list[Row]:
    """Run one reading statement on a connection of its own. Blocks.

    Raises:
        StoreBusyError: as `connect_reader`.
        sqlite3.Error: likewise.
    """
    connection, rows = connect_reader(
        path, timeout_s, lambda opened: opened.execute(sql, values).fetchall()
    )
    connection.close()
    return rows


def _opened_apart(
    path: Path, timeout_s: float, first: Callable[[sqlite3.Connection], ResultT]
) -> tuple[sqlite3.Connection, ResultT]:
    if _log_size(path):
        alone = "PRAGMA locking_mode = EXCLUSIVE"
        return _opened(path, "mode=rw", timeout_s, first, setup=alone)
    before = _state(path)
    connection, found = _opened(path, "mode=ro&immutable=1", timeout_s, first)
    if _log_size(path) or _state(path) != before:
        connection.close()
        raise StoreBusyError(f"another program is writing to {path}", hint="try again in a moment")
    return connection, found


def _opened(
    path: Path,
    how: str,
    timeout_s: float,
    first: Callable[[sqlite3.Connection], ResultT],
    *,
    setup: str = "",
) -> tuple[sqlite3.Connection, ResultT]:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        isolation_level=None,
        timeout=timeout_s,
        check_same_thread=False,
    )
    try:
        if setup:
            connection.execute(setup)
        return connection, first(connection)
    except BaseException:
        connection.close()
        raise


def _log_size(path: Path) -> int:
    """Return how many bytes of the write-ahead log there are; a store at rest has none."""
    log = path.with_name(f"{path.name}-wal")
    return log.stat().st_size if log.exists() else 0


def _state(path: Path) -> tuple[int, int]:
    now = path.stat()
    return now.st_mtime_ns, now.st_size
