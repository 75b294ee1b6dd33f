"""The one door through which the database driver's errors become ours."""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING

from convostore.errors import (
    InvalidTextError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreOpenError,
)

if TYPE_CHECKING:
    from pathlib import Path

# Source: SQLite, "Result and Error Codes"; the low byte is the primary code.
_PRIMARY = 0xFF
BUSY, LOCKED, READONLY, IOERR, CORRUPT, FULL = 5, 6, 8, 10, 11, 13
CANTOPEN, PROTOCOL, CONSTRAINT, NOTADB = 14, 15, 19, 26


def primary_code(error: BaseException) -> int:
    """Return SQLite's primary result code of a driver's error; 0 when it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY


DRIVERS = (
    sqlite3.Error,
    OSError,
    UnicodeEncodeError,
)  # what the driver raises, and the lock's file


def translate(error: BaseException, path: Path | None) -> BaseException:
    """Return *error* as one of ours where it is the driver's; anything else as it is.

    Args:
        error: what the driver, or the code around it, raised.
        path: the store's file, to name it in the message.
    """
    if not isinstance(error, DRIVERS):
        return error
    ours = _ours(error, path)
    ours.__cause__ = error
    return ours


_BUSY_HINT = "close it, or try again in a moment"
_FULL_HINT = "free some space and try again; everything stored before is safe"
_DAMAGED_HINT = "restore a backup: convostore db restore FILE, or look: convostore db check"
_LOCKED_HINT = "give yourself write permission on the file and its folder, or copy it"
_OTHER_HINT = "is its disk full or gone? see: convostore db check"
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


# What SQLite says when a file cannot grow: a full disk while opening, or a limit on file sizes.
_NO_ROOM = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})


def _extended(error: BaseException) -> int:
    return int(getattr(error, "sqlite_errorcode", 0))


def _ours(error: BaseException, path: Path | None) -> StoreError:  # noqa: PLR0911 - one a kind
    if isinstance(error, UnicodeEncodeError):
        return InvalidTextError(
            "a text holds half a character (a lone surrogate)",
            hint="decode the input as UTF-8 before it comes here",
        )
    code = primary_code(error)
    number = error.errno if isinstance(error, OSError) else None
    if code in {BUSY, LOCKED}:
        return StoreBusyError(f"another program holds {path}", hint=_BUSY_HINT)
    if code == FULL or number in _DISK_FULL or _extended(error) in _NO_ROOM:
        return StoreFullError(f"the disk that holds {path} is full", hint=_FULL_HINT)
    if code == CORRUPT:
        return StoreCorruptError(f"{path} is damaged ({error})", hint=_DAMAGED_HINT)
    if code == NOTADB:
        return StoreOpenError(f"{path} is not a convostore store", hint="name another: --db FILE")
    if code == READONLY or number in _NOT_ALLOWED:
        return StoreOpenError(f"{path} may not be written", hint=_LOCKED_HINT)
    if code == CANTOPEN:
        return StoreOpenError(f"{path} cannot be opened ({error})", hint=_LOCKED_HINT)
    return StoreError(f"the store at {path} failed: {error}", hint=_OTHER_HINT)
