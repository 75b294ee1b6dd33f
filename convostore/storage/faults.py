"""The one door through which the database driver's errors become ours."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from convostore.errors import (
    ConvostoreError,
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


def translate(error: BaseException, path: Path | None) -> BaseException:
    """Return *error* as one of ours where it is the driver's; anything else as it is.

    Args:
        error: what the driver, or the code around it, raised.
        path: the store's file, to name it in the message.
    """
    if isinstance(error, ConvostoreError) or not isinstance(error, (sqlite3.Error, OSError)):
        return error
    ours = _ours(error, path)
    ours.__cause__ = error
    return ours


def _ours(error: BaseException, path: Path | None) -> StoreError:  # noqa: PLR0911 - one return a kind
    match primary_code(error):
        case 5 | 6:
            return StoreBusyError(
                f"another program holds {path}", hint="close it, or try again in a moment"
            )
        case 13:
            return StoreFullError(
                f"the disk that holds {path} is full",
                hint="free some space and try again; everything stored before is safe",
            )
        case 11:
            return StoreCorruptError(
                f"{path} is damaged ({error})",
                hint="restore a backup: convostore db restore FILE, or look: convostore db check",
            )
        case 26:
            return StoreOpenError(
                f"{path} is not a convostore store", hint="name another file: --db FILE"
            )
        case 8:
            return StoreOpenError(
                f"{path} may not be written",
                hint="give yourself write permission on the file and its folder, or copy it",
            )
        case 14:
            return StoreOpenError(
                f"{path} cannot be opened ({error})", hint="check that its folder is writable"
            )
    if isinstance(error, OSError) and error.errno == 28:  # noqa: PLR2004 - ENOSPC
        return StoreFullError(f"the disk that holds {path} is full", hint="free some space")
    return StoreError(
        f"the store at {path} failed: {error}",
        hint="is its disk full or gone? see: convostore db check",
    )
