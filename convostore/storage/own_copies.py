"""The copies of a store that convostore itself has left beside it: what was there before a change.

Whole backups that somebody asked for are not among them: where those are, nobody here knows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from convostore.storage.access import BUSY_TIMEOUT_S, locked, our_errors
from convostore.storage.copies import is_in_use, sync

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_KEPT = r"(before-upgrade-\w+|before-restore|lost)(-\d+)?(-(wal|shm|journal))?(-\d+)?"
_PART = r"(\.before-upgrade-\w+)?\.[^.]+\.part"
_BESIDE = r"(-(wal|shm|journal|lock))?"


def own_copies(path: Path) -> tuple[Path, ...]:
    """Name the copies beside the store at *path*, and what is left of unfinished ones.

    One that somebody is just making is none of them.

    Raises:
        StoreError: the folder cannot be read.
    """
    name = re.escape(path.name)
    ours = re.compile(rf"{name}\.{_KEPT}|(?P<part>\.{name}{_PART}){_BESIDE}")
    with our_errors(path):
        found = [(one, ours.fullmatch(one.name)) for one in path.parent.iterdir()]
        return tuple(
            sorted(
                one
                for one, known in found
                if known and one.is_file() and not one.is_symlink()
                if not (known["part"] and is_in_use(one.with_name(known["part"])))
            )
        )


def remove_copies(path: Path, copies: Iterable[Path]) -> None:
    """Remove copies for good; the removal is on disk when this returns.

    No restore takes the store's place meanwhile: what it keeps is not among what was named.

    Raises:
        StoreBusyError: others held the store all the time; nothing was removed.
        StoreError: one cannot be removed; those before it are.
    """
    with our_errors(path), locked(path, BUSY_TIMEOUT_S):
        for copy in copies:
            copy.unlink(missing_ok=True)
        sync(path.parent)
