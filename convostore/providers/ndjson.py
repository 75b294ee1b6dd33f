"""Newline-delimited JSON: bytes in any pieces become objects, without I/O.

Lines end at LF and nowhere else. Text line splitting would also cut at U+2028, U+0085 and form
feed, which may stand inside a JSON string; readers of the network layer have their own, smaller
limits for a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINE_LIMIT_BYTES = 8 * 1024 * 1024  # the longest line seen is 1 MB; this leaves room and an end
_EXCERPT_BYTES = 500  # what an error shows of the line

ObjectT = TypeVar("ObjectT")


class BadLineError(ValueError):
    """A line is too long or is not JSON.

    Attributes:
        reason: what is wrong with it.
        excerpt: the beginning of the line as text; may hold secrets of the protocol.
    """

    def __init__(self, reason: str, line: bytes) -> None:
        super().__init__(reason)
        self.reason = reason
        self.excerpt = line[:_EXCERPT_BYTES].decode("utf-8", "replace")


class ObjectReader(Generic[ObjectT]):
    """Cut a body into lines and decode each whole line.

    Args:
        decode: makes an object of one line; may raise what msgspec raises.
        limit_bytes: the longest line, without its LF.
    """

    def __init__(
        self, decode: Callable[[bytes], ObjectT], *, limit_bytes: int = LINE_LIMIT_BYTES
    ) -> None:
        self._decode = decode
        self._limit = limit_bytes
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[ObjectT]:
        """Take the next bytes of the body and yield the objects they complete.

        Blank lines are skipped: they carry nothing.

        Raises:
            BadLineError: after the objects before the bad line were yielded.
        """
        first, *others = piece.split(b"\n")
        if not others:
            self._keep(first)
            return
        if self._rest:
            self._keep(first)
            first = bytes(self._rest)
            self._rest.clear()
        last = others.pop()
        if first and not first.isspace():
            yield self._object(first)
        for line in others:
            if line and not line.isspace():
                yield self._object(line)
        self._keep(last)

    def end(self) -> Iterator[ObjectT]:
        """Yield the object of a last line that has no LF; the body must have ended properly.

        Raises:
            BadLineError: the last line is cut off.
        """
        line = bytes(self._rest)
        self._rest.clear()
        if line and not line.isspace():
            yield self._object(line)

    def _keep(self, part: bytes) -> None:
        if len(self._rest) + len(part) > self._limit:
            self._rest += part[:_EXCERPT_BYTES]
            raise BadLineError(f"a line is longer than {self._limit:,} bytes", bytes(self._rest))
        self._rest += part

    def _object(self, line: bytes) -> ObjectT:
        if len(line) > self._limit:
            raise BadLineError(f"a line is longer than {self._limit:,} bytes", line)
        try:
            return self._decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadLineError(f"a line is not the JSON it should be: {error}", line) from error
