"""The bytes of attachments that an export of our own tells, until they are stored."""

from __future__ import annotations

import io
import os
import tempfile
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from convostore.exchange.members import FileOpener

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from convostore.exchange.members import Member
    from convostore.formats.jsonl import AttachmentPiece


Opener: TypeAlias = "Callable[[], BinaryIO]"
Beside: TypeAlias = (
    "Callable[[str, str], Opener | None]"  # by the names of a folder and a file in it
)


class Space:
    """A file without a name, for the attachments of all that one import reads."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self.length = 0

    def write(self, data: bytes) -> None:
        """Put *data* at the end.

        Raises:
            OSError: there is no room for it.
        """
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - `close` closes it
        self._file.write(data)
        self.length += len(data)

    def open(self, begin: int, size: int) -> BinaryIO:
        """Open some of it for reading; after something was written."""
        assert self._file is not None  # noqa: S101 - places come of what was written
        return io.BufferedReader(_Slice(self._file.fileno(), begin, size))

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()


class Contents:
    """The attachments of one file: those told so far, and those beside it.

    Args:
        space: keeps those that are told.
        beside: finds a file beside this one; None where there is nothing beside it.
        folder: the name of the one that the attachments are in; None where there is none.
    """

    def __init__(self, space: Space, beside: Beside | None, folder: str | None) -> None:
        self._space, self._beside, self._folder = space, beside, folder
        self._places: dict[str, tuple[int, int]] = {}

    def take(self, piece: AttachmentPiece) -> None:
        """Keep a piece of an attachment; the pieces of one follow each other.

        Raises:
            OSError: there is no room for it.
        """
        begin, size = self._places.get(piece.sha256, (self._space.length, 0))
        if not piece.number:
            begin, size = self._space.length, 0
        self._space.write(piece.data)
        self._places[piece.sha256] = (begin, size + len(piece.data))

    def opener(self, sha256: str) -> Opener | None:
        """Return what opens the bytes of an attachment; None where the file does not have them."""
        if sha256 in self._places:
            return partial(self._space.open, *self._places[sha256])
        if self._beside is None or self._folder is None:
            return None
        return self._beside(self._folder, sha256)


def beside_file(path: Path) -> Beside:
    """Return what finds a file in a folder that stands beside the file *path*; it follows no link."""

    def found(folder: str, name: str) -> Opener | None:
        there = path.parent / folder
        linked = there.is_symlink() or (there / name).is_symlink()
        return FileOpener(there / name) if not linked and (there / name).is_file() else None

    return found


def beside_member(member: Member, members: Mapping[str, Member]) -> Beside:
    """Return what finds a file in a folder that stands beside *member*, among *members* by name."""
    before = member.name[: -len(member.base)]

    def found(folder: str, name: str) -> Opener | None:
        there = members.get(f"{before}{folder}/{name}")
        return None if there is None else there.open

    return found


class _Slice(io.RawIOBase):
    """Some of the bytes of an open file, read without moving it: several may do so at once."""

    def __init__(self, handle: int, begin: int, size: int) -> None:
        self._handle, self._at, self._end = handle, begin, begin + size

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what BufferedReader gives
        """Read the next bytes."""
        data = os.pread(self._handle, min(len(buffer), self._end - self._at), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
