"""What must not be written over: a store, what belongs to it, and any other database of SQLite's.

No file is opened by hand here: to close one would drop the locks that SQLite holds on it, whichever
connection of this process they are of (see `files.py`).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from convostore.storage.copies import BESIDE
from convostore.storage.faults import NOTADB, primary_code

if TYPE_CHECKING:
    from collections.abc import Iterator

_BESIDE = (*BESIDE, "-lock")


def store_at(path: Path, store: Path | None) -> str | None:
    """Say what stands at *path*, or belongs there, that must not be written over; None if nothing.

    Args:
        path: by whatever name: relative, through links, in another case where that is the same.
        store: the file of the store at hand; None where it is in no file.

    Raises:
        OSError: *path* cannot be looked at.
    """
    real = Path(os.path.realpath(path))  # which a loop of links does not stop
    if store is not None:
        if _is_same(path, store):
            return "the store itself"
        if _is_beside(real, Path(os.path.realpath(store))):
            return "a file of the store itself"
    if path.is_file() and is_database(path):
        return "a database"
    for database in _owners_of(real):
        if database.is_file() and is_database(database):
            return f"a file of the database {database.name}"
    return None


def is_database(path: Path) -> bool:
    """Tell whether a file is a database of SQLite's, whichever program's; in doubt it is.

    It is opened as a file that nobody changes, so that nothing is made beside it.
    """
    uri = path.absolute().as_uri() + "?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        return primary_code(error) != NOTADB
    return path.stat().st_size > 0  # an empty file counts as an empty database


def _is_same(path: Path, store: Path) -> bool:
    with suppress(FileNotFoundError):
        return path.samefile(store)
    return os.path.realpath(path) == os.path.realpath(store)


def _is_beside(real: Path, store: Path) -> bool:
    """Tell whether *real* is one of the files beside *store*, there or not."""
    if any(real.name.casefold() == f"{store.name}{end}".casefold() for end in _BESIDE):
        with suppress(FileNotFoundError):
            return real.parent.samefile(store.parent)
    return False


def _owners_of(real: Path) -> Iterator[Path]:
    """Yield the databases that a file would belong to, by its name."""
    for end in _BESIDE:
        if real.name.casefold().endswith(end) and len(real.name) > len(end):
            yield real.with_name(real.name[: -len(end)])
