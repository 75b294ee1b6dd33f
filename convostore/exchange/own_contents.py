"""The bytes of attachments that an export of our own tells, until they are stored."""

from __future__ import annotations

import io
import os
import tempfile
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convostore.formats.jsonl import AttachmentPiece


class Contents:
    """The attachments of one file: those told so far, in a file without a name, and those beside it.

    Args:
        folder: where those beside the file are; None where there are none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None
        self._places: dict[str, tuple[int, int]] = {}
        self._length = 0

    def take(self, piece: AttachmentPiece) -> None:
        """Keep a piece of an attachment; the pieces of one follow each other.

        Raises:
            OSError: there is no room for it.
        """
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - `close` closes it
        begin, size = self._places.get(piece.sha256, (self._length, 0))
        if not piece.number:
            begin, size = self._length, 0
        self._file.write(piece.data)
        self._length += len(piece.data)
        self._places[piece.sha256] = (begin, size + len(piece.data))

    def opener(self, sha256: str) -> Callable[[], BinaryIO] | None:
        """Return what opens the bytes of an attachment; None where the file does not have them."""
        if sha256 in self._places and self._file is not None:
            handle, (begin, size) = self._file.fileno(), self._places[sha256]
            return lambda: io.BufferedReader(_Slice(handle, begin, size))
        beside = None if self._folder is None else self._folder / sha256
        if beside is None or not beside.is_file():
            return None
        return lambda: beside.open("rb")

    def close(self) -> None:
        """Let go of them."""
        if self._file is not None:
            self._file.close()


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
