"""Where an export goes: a file that is there whole or not at all, and never in a store's place."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from convostore.errors import FormatError, StoreFullError
from convostore.paths import OddPathError, path_of
from convostore.storage.guard import store_at

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

_AT_ONCE_BYTES: Final = 1024 * 1024
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Target:
    """Files of one export.

    Attributes:
        path: as named, a `~` at its beginning being the home folder.
        is_folder: there is a folder of that name, or its name ends with a slash.
    """

    def __init__(self, to: str | Path, kind: str, store: Path | None) -> None:
        """Look at a place.

        Args:
            to: the file or folder, as named.
            kind: the format, for errors.
            store: the file of the store that is exported; None where it is in no file.

        Raises:
            FormatError: no file can be called so, or it cannot be looked at.
        """
        self._kind, self._store = kind, store
        try:
            self.path = path_of(to)
        except OddPathError as odd:
            raise self._refused(odd.shown, odd.reason) from None
        with self._errors(self.path):
            self.is_folder = self.path.is_dir() or os.fspath(to).endswith(os.sep)
            self.is_file = self.path.is_file()

    def make_folder(self, path: Path | None = None) -> None:
        """Make the folder, or the one at *path*, if it is missing, with mode 0700.

        Raises:
            FormatError: it cannot be made.
            StoreFullError: the disk is full.
        """
        place = path or self.path
        with self._errors(place):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def write(self, path: Path, pieces: AsyncGenerator[str] | AsyncGenerator[bytes]) -> None:
        """Write a whole file of mode 0600, on disk when this returns, or leave the one that is there.

        Raises:
            FormatError: it cannot be written, or a store or another database is in its place.
            StoreFullError: the disk is full.
        """
        with self._errors(path):
            self._refuse_stores(path)
            file = _NewFile(path)
            try:
                async with aclosing(pieces):
                    await _write_all(file, pieces)
                self._refuse_stores(path)
                await asyncio.to_thread(file.publish)
            finally:
                file.close()

    def _refuse_stores(self, path: Path) -> None:
        if (what := store_at(path, self._store)) is not None:
            raise self._refused(str(path), f"it is {what}")

    @contextmanager
    def _errors(self, path: Path) -> Iterator[None]:
        """Turn the file system's errors into ours: the one door for them here."""
        try:
            yield
        except OSError as error:
            if error.errno in _DISK_FULL:
                raise StoreFullError(
                    f"the disk that holds {path} is full",
                    hint="free some space, or name another place; an older file there is untouched",
                ) from error
            raise self._refused(str(path), error.strerror or str(error)) from error

    def _refused(self, name: str, reason: str) -> FormatError:
        return FormatError(
            f"cannot write {name}: {reason}",
            format=self._kind,
            record=None,
            reason=reason,
            hint="name another place with -o",
        )


async def _write_all(file: _NewFile, pieces: AsyncGenerator[str] | AsyncGenerator[bytes]) -> None:
    """Write the pieces, small ones together: each goes to a thread, which takes its time."""
    held: list[bytes] = []
    size = 0
    async for piece in pieces:
        data = piece.encode() if isinstance(piece, str) else piece
        held.append(data)
        size += len(data)
        if size >= _AT_ONCE_BYTES:
            await asyncio.to_thread(file.write, b"".join(held))
            held, size = [], 0
    await asyncio.to_thread(file.write, b"".join(held))


class _NewFile:
    """A file under a name of its own, until it is whole and takes its place."""

    def __init__(self, place: Path) -> None:
        if place.is_symlink() or (place.exists() and not place.is_file()):
            raise OSError(errno.EEXIST, "something that is not a plain file is in its place")
        self._place = place
        # mkstemp makes it 0600 and never follows a link.
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=".convostore-", suffix=".part")
        self._own_name: Path | None = Path(name)
        self._file = os.fdopen(handle, "wb")

    def write(self, data: bytes) -> None:
        """Append *data*."""
        self._file.write(data)

    def publish(self) -> None:
        """Make it durable and give it its name, in the place of an older file."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if self._own_name is not None:
            self._own_name.replace(self._place)
            self._own_name = None
        folder = os.open(self._place.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Let go of it; what was not published is removed."""
        try:
            self._file.close()  # waits for a write that a cancelled caller left running
        finally:
            if self._own_name is not None:
                self._own_name.unlink(missing_ok=True)
