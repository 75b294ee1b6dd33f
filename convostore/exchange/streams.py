"""A stream of bytes that can be looked into and put back, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from convostore.formats.foreign import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE_BYTES: Final = 128 * 1024
SPACE: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


class Readable(Protocol):
    """What is read: a file, a pipe, a member of an archive."""

    def read(self, size: int = ..., /) -> bytes:
        """Return at most so many bytes; none at the end."""
        ...


class Stream:
    """The bytes of *source* behind *head*, without the mark that some programs put before UTF-8.

    Raises:
        FormatError: it is UTF-16.
    """

    def __init__(self, source: Readable, head: bytes = b"") -> None:
        self._source = source
        self._back = [head] if head else []
        first = self.look(4)
        if first.startswith(_UTF_16) or first[:2].count(0) == 1:
            raise refused(
                "json", "its text is UTF-16, not UTF-8: convert it with iconv -f UTF-16 -t UTF-8"
            )
        if first.startswith(_BOM):
            self.put_back(self.piece()[len(_BOM) :])

    def piece(self) -> bytes:
        """Return the next piece; empty at the end."""
        if self._back:
            return self._back.pop()
        return self._source.read(PIECE_BYTES)

    def block(self, size: int) -> bytes:
        """Return so many bytes or some more, all that are left where there are fewer."""
        held, length = [], 0
        while length < size and (piece := self.piece()):
            held.append(piece)
            length += len(piece)
        return b"".join(held)

    def pieces(self) -> Iterator[bytes]:
        """Yield the pieces to the end."""
        while piece := self.piece():
            yield piece

    def put_back(self, piece: bytes) -> None:
        """Let *piece* be the next one."""
        if piece:
            self._back.append(piece)

    def look(self, size: int) -> bytes:
        """Return so many bytes, or all that are left, and leave them where they are."""
        whole = self.block(size)
        self.put_back(whole)
        return whole[:size]

    def skip(self, what: bytes) -> bytes:
        """Go past all bytes that are among *what*, and return the next one; empty at the end."""
        for piece in self.pieces():
            if rest := piece.lstrip(what):
                self.put_back(rest)
                return rest[:1]
        return b""
