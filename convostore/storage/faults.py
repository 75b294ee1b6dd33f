"""The one door through which the database driver's errors become ours."""

from __future__ import annotations

import errno
import os
import shlex
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
_OF_VALUES = frozenset({18, CONSTRAINT, 20})  # too big, constraint, of another type


def primary_code(error: BaseException) -> int:
    """Return SQLite's primary result code of a driver's error; 0 when it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY


def is_of_values(error: BaseException) -> bool:
    """Tell whether an error of ours says that what was to be stored cannot be, and nothing else.

    Source: PostgreSQL, "Error Codes": classes 22 (data), 23 (constraint), 54 (too large).
    """
    if isinstance(error, InvalidTextError):
        return True
    cause = error.__cause__
    state = str(getattr(cause, "sqlstate", None) or "")
    refused = isinstance(cause, ValueError) or state[:2] in {"22", "23", "54"}
    return refused or primary_code(cause or error) in _OF_VALUES


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
DAMAGED_HINT = (
    "restore a backup: convostore db restore FILE; "
    "without one, save what can be read: convostore export --all -o FILE"
)
_BACKUP_HINT = "go on with a copy: convostore db backup COPY, then --db COPY"
_COPY_HINT = "copy it, with its -wal file, to a folder that you may write to: --db FILE"
_OTHER_HINT = "is its disk full, or gone? See: df ."
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


# What SQLite says when a file cannot grow: a full disk while opening, or a limit on file sizes.
_NO_ROOM = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})


def is_writable(path: Path) -> bool:
    """Tell whether the store at *path* may be written, as far as its modes tell."""
    folder = path.parent
    return os.access(folder, os.W_OK) and (os.access(path, os.W_OK) or not path.exists())


def read_only(path: Path, *, otherwise: str = _BACKUP_HINT) -> StoreOpenError:
    """Return the error for a store that is to be written and may not be: what of it, and why.

    Args:
        path: the store's file.
        otherwise: what to do where its modes cannot be changed.
    """
    folder = path.parent
    if folder.exists() and os.statvfs(folder).f_flag & os.ST_RDONLY:
        return StoreOpenError(f"the disk that holds {path} is read-only", hint=otherwise)
    closed = [one for one in (folder, path) if not os.access(one, os.W_OK)] or [path]
    name = f"the folder of {path}" if closed[0] == folder else path
    allow = f"chmod u+w {shlex.join(map(str, closed))}"
    return StoreOpenError(f"{name} is read-only", hint=f"{allow}, or {otherwise}")


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
        return StoreCorruptError(f"{path} is damaged ({error})", hint=DAMAGED_HINT)
    if code == NOTADB:
        return StoreOpenError(f"{path} is not a convostore store", hint="name another: --db FILE")
    if code == READONLY or number in _NOT_ALLOWED:
        return read_only(path) if path else StoreOpenError(f"a store is read-only ({error})")
    if code == CANTOPEN and path and path.exists() and not is_writable(path):
        return read_only(path, otherwise=_COPY_HINT)
    if code == CANTOPEN:
        return StoreOpenError(f"{path} cannot be opened ({error})", hint=f"look: ls -l {path}*")
    return StoreError(f"the store at {path} failed: {error}", hint=_OTHER_HINT)
