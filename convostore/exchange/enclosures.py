"""Files that came along in an export: what they are, and their bytes on the way into the store."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, Final
from zipfile import BadZipFile

from convostore.errors import ConvostoreError
from convostore.media_types import type_of
from convostore.parts import AttachmentPart
from convostore.text import gate_file_name, gate_media_type

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from convostore.formats.foreign import ForeignConversation, ForeignFile

_PIECE_BYTES: Final = 256 * 1024
_UNREADABLE: Final = (ConvostoreError, OSError, EOFError, BadZipFile, zlib.error, RuntimeError)


class Enclosures:
    """What came along with a conversation, each read once to know it by its content.

    Attributes:
        parts: by the message's source id and the place among its parts.
        files: where the bytes are, and as what they are kept, by their sha256.
        remarks: what could not be read, a line each.
    """

    def __init__(self, foreign: ForeignConversation, *, most_bytes: int) -> None:
        self.parts: dict[tuple[str, int], AttachmentPart] = {}
        self.files: dict[str, tuple[ForeignFile, AttachmentPart]] = {}
        self.remarks: list[str] = []
        for file in foreign.files:
            try:
                part = _read(file, most_bytes)
            except _UNREADABLE as error:
                self.remarks.append(f"an attachment is left out, {file.name}: {_reason(error)}")
            else:
                self.parts[file.message, file.part] = part
                self.files[part.sha256] = (file, part)


def _read(file: ForeignFile, most_bytes: int) -> AttachmentPart:
    hashed, size = hashlib.sha256(), 0
    for piece in _pieces(file):
        hashed.update(piece)
        size += len(piece)
        if size > most_bytes:
            raise OSError(f"it has more than the {most_bytes:,} bytes that one may have")
    name = gate_file_name(file.name)
    kind = gate_media_type(file.media_type) if file.media_type else type_of(name)
    return AttachmentPart(hashed.hexdigest(), size, kind, name)


def _pieces(file: ForeignFile) -> Generator[bytes]:
    with file.open() as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece


async def pieces(file: ForeignFile) -> AsyncGenerator[bytes]:
    """Yield the bytes of a file, read in a thread."""
    import asyncio  # a child that reads has no event loop

    found = _pieces(file)
    try:
        while piece := await asyncio.to_thread(next, found, b""):
            yield piece
    finally:
        found.close()


def _reason(error: BaseException) -> str:
    said = error.message if isinstance(error, ConvostoreError) else str(error)
    return said.partition("\n")[0] or type(error).__name__
