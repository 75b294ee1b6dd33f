"""The store's files: made 0600 before SQLite sees them, never on a network share, one lock beside.

The process never opens the database file itself: closing it would drop SQLite's own locks.
Source: SQLite, "How To Corrupt An SQLite Database File", 2.2.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from convostore.errors import StoreOpenError
from convostore.paths import OddPathError, path_of
from convostore.storage.mounts import NETWORK_FILE_SYSTEMS, file_system

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


_CLOSED = frozenset({errno.EACCES, errno.EPERM})
_ODD = frozenset({errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR})
_MOST_SHOWN = 80  # characters of a name
_LONGEST = "-journal"  # of what stands beside a store


def file_at(name: object) -> Path:
    """Return *name* as the path of a file, as `real` does, but leave links what they are.

    Raises:
        StoreOpenError: no file can be called so, or none can be reached by that name.
    """
    try:
        path = path_of(name)
    except OddPathError as odd:
        raise StoreOpenError(
            f"{odd.shown} is no file: {odd.reason}", hint="check the name"
        ) from None
    _reach(path, hint="name another file")
    return path


def real(path: Path) -> Path:
    """Return where a store's file really is: it has one lock file, whatever link it is reached by.

    Raises:
        StoreOpenError: the name, or that of a file beside it, is too long, goes through a file,
            or in a circle.
    """
    _reach(path, hint="name another: --db FILE")
    return path.resolve()


def _reach(path: Path, *, hint: str) -> None:
    try:
        with suppress(FileNotFoundError):
            os.stat(path)  # noqa: PTH116 - beside the next line
        os.lstat(f"{path}{_LONGEST}")
    except OSError as error:
        if error.errno in _CLOSED:
            folder = shlex.quote(str(path.parent))
            raise StoreOpenError(
                f"{path} cannot be reached: its folder may not be entered",
                hint=f"check the folder's owner and mode: ls -ld {folder}",
            ) from error
        if error.errno in _ODD:
            name = path.name if error.errno == errno.ENAMETOOLONG else str(path)
            shown = f"{name[:_MOST_SHOWN]}…" if len(name) > _MOST_SHOWN else name
            raise StoreOpenError(
                f"there can be no file {shown}: {(error.strerror or '').lower()}",
                hint=hint,
            ) from error


def prepare(path: Path, *, create: bool) -> None:
    """Make sure the store's file can be opened, and make it with mode 0600 if it is to be new.

    Args:
        path: the database file.
        create: make a missing file, in a folder made with mode 0700 where that is missing too.

    Raises:
        StoreOpenError: no such store, a folder in its place, no permission, a network share.
    """
    if path.is_dir():
        raise StoreOpenError(
            f"{path} is a folder, not a store",
            hint=f"name a file: --db {path / 'chats.db'}",
        )
    if not path.exists():
        if not create:
            raise StoreOpenError(
                f"there is no store at {path}",
                hint="start a chat to make one: convostore chat, or name another with --db FILE",
            )
        _create(path)
    refuse_network_share(path)
    if not os.access(path, os.R_OK):
        raise StoreOpenError(
            f"{path} may not be read", hint=f"check its owner and mode: ls -l {path}"
        )


def _create(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise StoreOpenError(
            f"cannot make a store at {path}: {error.strerror}",
            hint="choose a place you may write to with --db FILE",
        ) from error


def refuse_network_share(path: Path) -> None:
    """Refuse a path on a network file system, where SQLite's locks cannot be relied on.

    Raises:
        StoreOpenError: it is on one.
    """
    kind = file_system(str(path.resolve()))
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreOpenError(
            f"{path} is on a network share ({kind}), where a store can be damaged",
            hint="keep the store on a local disk: --db FILE",
        )


class FileLock:
    """A lock between processes: a blocking `flock` on a file beside the store.

    Waiters wake at once and nearly in turn, where SQLite's own busy handler starves some of
    them for seconds. It has no deadline of its own: that is the caller's.
    """

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + "-lock")
        self._file: int | None = None

    def __enter__(self) -> None:
        """Wait for the lock."""
        fcntl.flock(self._opened(), fcntl.LOCK_EX)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the next one have it."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock file; it stays on disk, for others may be waiting on it."""
        with _opening:
            _open.discard(self)
            file, self._file = self._file, None
            if file is not None:
                os.close(file)

    def _opened(self) -> int:
        """Return the descriptor of the lock file, opened at the first call."""
        with _opening:
            if self._file is None:
                self._file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                _open.add(self)
            return self._file


# A forked child shares the open lock files of its parent. While it has them, the lock stays held
# when the parent is killed, for as long as the child lives. Closing them there lets go of nothing
# that the parent holds.
# Source: flock(2), "locks created by flock() are associated with an open file description".
_open: set[FileLock] = set()
_opening = threading.Lock()  # no fork happens while a lock file is open and not in the set


def _let_go_in_child() -> None:
    for lock in tuple(_open):
        if lock._file is not None:  # noqa: SLF001 - the class's own other half
            os.close(lock._file)  # noqa: SLF001 - as above
            lock._file = None  # noqa: SLF001 - as above
    _open.clear()
    _opening.release()


os.register_at_fork(
    before=_opening.acquire,
    after_in_parent=_opening.release,
    after_in_child=_let_go_in_child,
)
