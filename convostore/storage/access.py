"""Connections for one purpose: a short look at a store, or work on it that nobody may share."""

from __future__ import annotations

import errno
import fcntl
import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import column, select, table
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from convostore.errors import StoreBusyError, StoreCorruptError, StoreOpenError
from convostore.storage.faults import BUSY, DAMAGED_HINT, primary_code, read_only, translate
from convostore.storage.files import FileLock
from convostore.storage.reading import connect_reader
from convostore.storage.sqlite import FOREIGN_WAIT_MS, connect_writer
from convostore.storage.tables import VERSION_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EMPTY: Final = ""  # the revision of a file without any table
BUSY_TIMEOUT_S: Final = 10.0
NOT_ALLOWED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_POLL_S = 0.02  # between two tries at the lock of the file
_NO_SUCH_TABLE = 1  # SQLITE_ERROR: what a statement meets that names what is not there
_dialect = sqlite.dialect()
REVISION_QUERY = str(select(column("version_num")).select_from(table(VERSION_TABLE)).compile())
_TABLES = str(
    select(column("name"))
    .select_from(table("sqlite_master"))
    .where(column("type").is_("table"))
    .compile(dialect=_dialect, compile_kwargs={"literal_binds": True})
)


@contextmanager
def our_errors(path: Path) -> Iterator[None]:
    """Turn what the driver and the system raise inside into errors of ours, about *path*.

    Raises:
        StoreError: instead of the driver's.
    """
    try:
        yield
    except DBAPIError as error:
        raise translate(error.orig or error, path) from error
    except (sqlite3.Error, OSError) as error:
        raise translate(error, path) from error
    except UnicodeDecodeError as error:  # the driver's, of a damaged name or of its own message
        raise StoreCorruptError(f"{path} is damaged ({error.reason})", hint=DAMAGED_HINT) from error


@contextmanager
def look(
    path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> Iterator[tuple[sqlite3.Connection, str]]:
    """Open *path* to read only, in whatever way it can be read; give its revision too.

    Raises:
        StoreOpenError: it is the database of another program.
        StoreCorruptError: it does not say its revision any more.
        sqlite3.Error: as `connect_reader`.
    """
    connection, revision = connect_reader(
        path, busy_timeout_s, lambda opened: stored_revision(opened, path)
    )
    with closing(connection):
        yield connection, revision


def stored_revision(connection: sqlite3.Connection, path: Path) -> str:
    """Return the revision of the store, EMPTY when there is no table yet; one query at a store.

    Raises:
        StoreOpenError: it is the database of another program.
        StoreCorruptError: the row that says the revision is gone, or the schema is broken.
    """
    try:
        found = connection.execute(REVISION_QUERY).fetchone()
    except UnicodeDecodeError as error:  # SQLite quotes the broken schema in what it says
        raise StoreCorruptError(f"{path} is damaged: its schema", hint=DAMAGED_HINT) from error
    except sqlite3.OperationalError as error:
        if primary_code(error) != _NO_SUCH_TABLE:
            raise
        names = {name for (name,) in connection.execute(_TABLES)}
        if not names:
            return EMPTY
        if VERSION_TABLE in names:  # made by another process between the two queries
            return stored_revision(connection, path)
        raise StoreOpenError(
            f"{path} is the database of another program",
            hint="name another file: --db FILE",
        ) from error
    if found is None:
        raise StoreCorruptError(
            f"{path} does not say its schema's revision any more",
            hint=DAMAGED_HINT,
        )
    return str(found[0])


class _PatientLock(FileLock):
    """The lock between processes, for those who have no caller to keep their deadline."""

    def __init__(self, store: Path, timeout_s: float) -> None:
        super().__init__(store)
        self._store = store
        self._timeout_s = timeout_s

    def __enter__(self) -> None:
        file = self._opened()
        pause = threading.Event()
        for _ in range(tries(self._timeout_s, _POLL_S)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pause.wait(_POLL_S)
            else:
                return
        self.close()
        raise busy(self._store, self._timeout_s)


def tries(timeout_s: float, each_s: float) -> int:
    """Return how often something that takes *each_s* is tried within *timeout_s*."""
    return 1 + int(timeout_s / each_s)


def busy(path: Path, timeout_s: float) -> StoreBusyError:
    """Return the error for a store that others hold."""
    return StoreBusyError(
        f"the store at {path} was busy for {timeout_s:g} s; nothing was changed",
        hint="close the other programs that use it, or try again in a moment",
    )


@contextmanager
def locked(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock between processes, as every write of ours does.

    Raises:
        StoreBusyError: not to be had within *timeout_s*.
        StoreOpenError: the folder may not be written.
    """
    lock = _PatientLock(path, timeout_s)
    try:
        lock.__enter__()
    except OSError as error:
        if error.errno in NOT_ALLOWED:
            raise read_only(path) from error
        raise translate(error, path) from error
    try:
        yield
    finally:
        lock.close()  # which lets go of the lock too


@contextmanager
def alone(path: Path, timeout_s: float) -> Iterator[sqlite3.Connection]:
    """Open the writing connection while no other process of ours may write.

    Raises:
        StoreBusyError: the file was not free within *timeout_s*.
        StoreError: whatever else the system or the database says.
    """
    with locked(path, timeout_s), our_errors(path), closing(_connect(path, timeout_s)) as writing:
        yield writing


def _connect(path: Path, timeout_s: float) -> sqlite3.Connection:
    """Open the writing connection; another program may hold the file while WAL is switched on."""
    for _ in range(tries(timeout_s, FOREIGN_WAIT_MS / 1000)):
        try:
            connection = connect_writer(path)
        except sqlite3.OperationalError as error:
            if primary_code(error) != BUSY:
                raise
        else:
            wait_ms = int(timeout_s * 1000)
            connection.execute(f"PRAGMA busy_timeout = {wait_ms:d}")  # pragmas take no parameters
            return connection
    raise busy(path, timeout_s)
