"""Whole copies of a store: complete, private and synced before they bear their name."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING

from convostore import ids
from convostore.errors import StoreFullError
from convostore.storage.faults import translate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What a write past the end of the room is called, besides SQLITE_FULL: a file size limit, and a
# disk too full for the shared memory that a store in WAL mode needs even to be read.
_NO_ROOM = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
BESIDE = ("-wal", "-shm", "-journal")  # what SQLite puts beside a database


@contextlib.contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """Make an empty file of mode 0600 beside *target*, to be filled and then named.

    SQLite would make it readable for all. Whatever is left of it at the end is removed.

    Raises:
        StoreFullError: there is no room for it.
        StoreError: it cannot be made or filled.
    """
    part = target.with_name(f".{target.name}.{ids.new_token()}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        yield part
    except (sqlite3.Error, OSError) as error:
        if getattr(error, "sqlite_errorcode", 0) in _NO_ROOM:
            raise StoreFullError(
                f"there is no room for {target}", hint="free some space, or name another place"
            ) from error
        raise translate(error, target) from error
    finally:
        for name in (part, *(beside(part, ending) for ending in BESIDE)):
            name.unlink(missing_ok=True)


def beside(path: Path, ending: str) -> Path:
    """Return the name of a file that SQLite keeps beside *path*."""
    return path.with_name(path.name + ending)


def copy_whole(connection: sqlite3.Connection, target: Path) -> None:
    """Write one committed state of an open store to a new file, without its free pages.

    Others may go on writing meanwhile. The copy is on disk when this returns.

    Args:
        connection: open on the store, outside of a transaction.
        target: must not exist; never overwritten.

    Raises:
        FileExistsError: *target* exists.
        StoreError: the copy could not be made; nothing is left of it.
    """
    with unfinished(target) as part:
        connection.execute("VACUUM INTO ?", (str(part),))
        sync(part)
        name(part, target)


def name(part: Path, target: Path) -> None:
    """Give a finished file its name, and put the name on disk.

    Raises:
        FileExistsError: the name is taken.
    """
    try:
        os.link(part, target)  # unlike a rename it never replaces what is there
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if target.exists():
            raise FileExistsError(target) from None
        part.rename(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Put a file that no connection of this process has open, or a folder's names, on disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
