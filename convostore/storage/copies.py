"""Whole copies of a store: complete, private and synced before they bear their name."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import sqlite3
from typing import TYPE_CHECKING

from convostore import ids
from convostore.errors import StoreFullError, StoreOpenError
from convostore.storage.access import NOT_ALLOWED
from convostore.storage.faults import translate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What a write past the end of the room is called, besides SQLITE_FULL: a file size limit, and a
# disk too full for the shared memory that a store in WAL mode needs even to be read.
_NO_ROOM = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
BESIDE = ("-wal", "-shm", "-journal")  # what SQLite puts beside a database
_IN_USE = "-lock"  # what we put beside a file that is being filled


@contextlib.contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """Make an empty file of mode 0600 beside *target*, to be filled and then named.

    SQLite would make it readable for all. Whatever is left of it at the end is removed. Until then
    `is_in_use` says so, of nothing that a killed program has left.

    Raises:
        FileExistsError: as it came from inside.
        StoreOpenError: the folder may not be written.
        StoreFullError: there is no room for it.
        StoreError: it cannot be made or filled.
    """
    part = target.with_name(f".{target.name}.{ids.new_token()}.part")
    try:
        with _in_use(part):
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            yield part
    except FileExistsError:
        raise  # the final name is taken: whose fault that is, the caller knows
    except (sqlite3.Error, OSError) as error:
        if getattr(error, "errno", None) in NOT_ALLOWED:
            raise StoreOpenError(
                f"the folder of {target} may not be written", hint="name a place you may write to"
            ) from error
        if getattr(error, "sqlite_errorcode", 0) in _NO_ROOM:
            raise StoreFullError(
                f"there is no room for {target}", hint="free some space, or name another place"
            ) from error
        raise translate(error, target) from error
    finally:
        for name in (part, *(beside(part, ending) for ending in BESIDE)):
            name.unlink(missing_ok=True)


@contextlib.contextmanager
def _in_use(part: Path) -> Iterator[None]:
    """Hold a lock beside a file that is being filled; the system lets go of it with the process.

    Not on the file itself: to close that by hand drops SQLite's own locks on it.
    """
    name = beside(part, _IN_USE)
    lock = os.open(name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        name.unlink(missing_ok=True)
        os.close(lock)


def is_in_use(part: Path) -> bool:
    """Tell whether anybody is filling a file that `unfinished` has made."""
    try:
        lock = os.open(beside(part, _IN_USE), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def beside(path: Path, ending: str) -> Path:
    """Return the name of a file that SQLite keeps beside *path*."""
    return path.with_name(path.name + ending)


def copy_whole(connection: sqlite3.Connection, part: Path) -> None:
    """Write one committed state of an open store into an empty file, without its free pages.

    The connection takes URIs. Others may go on writing meanwhile. The content is on disk when this returns.
    """
    # By its URI, for only so can its name hold bytes that are no UTF-8.
    connection.execute("VACUUM INTO ?", (part.absolute().as_uri(),))
    sync(part)


def give_name(part: Path, target: Path) -> None:
    """Give a file the name *target* too, and put the name on disk; it is never overwritten.

    On a file system without links the file loses the name it had.

    Raises:
        FileExistsError: the name is taken.
    """
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:
        if target.exists():
            raise FileExistsError(target) from None
        part.rename(target)
    sync(target.parent)


def name_free(part: Path, wanted: Path) -> Path:
    """Give a file the name *wanted* too, or where that is taken with -2, -3 ...; return it."""
    target = wanted
    for number in itertools.count(2):
        with contextlib.suppress(FileExistsError):
            give_name(part, target)
            break
        target = wanted.with_name(f"{wanted.name}-{number}")
    return target


def sync(path: Path) -> None:
    """Put a file that no connection of this process has open, or a folder's names, on disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
