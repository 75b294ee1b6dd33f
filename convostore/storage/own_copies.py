"""The copies of a store that convostore itself has left beside it: what was there before a change.

Whole backups that somebody asked for are not among them: where those are, nobody here knows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from convostore.storage.access import our_errors
from convostore.storage.copies import sync

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_KEPT = r"(before-upgrade-\w+|before-restore|lost)(-\d+)?(-(wal|shm|journal))?(-\d+)?"
_PART = r"(\.before-upgrade-\w+)?\.[^.]+\.part(-(wal|shm|journal))?"


def own_copies(path: Path) -> tuple[Path, ...]:
    """Name the copies beside the store at *path*, and what is left of unfinished ones.

    Raises:
        StoreError: the folder cannot be read.
    """
    name = re.escape(path.name)
    ours = re.compile(rf"{name}\.{_KEPT}|\.{name}{_PART}")
    with our_errors(path):
        found = [one for one in path.parent.iterdir() if ours.fullmatch(one.name)]
        return tuple(sorted(one for one in found if one.is_file() and not one.is_symlink()))


def remove_copies(path: Path, copies: Iterable[Path]) -> None:
    """Remove copies for good; the removal is on disk when this returns.

    Raises:
        StoreError: one cannot be removed; those before it are.
    """
    with our_errors(path):
        for copy in copies:
            copy.unlink(missing_ok=True)
        sync(path.parent)
