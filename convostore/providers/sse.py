"""Server-sent events: bytes in any pieces become events, without I/O.

Lines end at CR, LF or both, wherever a read was cut; text is decoded by whoever takes an event,
once it is whole, so that a character may be cut anywhere too.

Source: HTML Living Standard, section 9.2.6, "Interpreting an event stream".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from convostore.providers.ndjson import LINE_LIMIT_BYTES, BadLineError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class ServerEvent(NamedTuple):
    """One event of a stream.

    Attributes:
        data: its lines of data, joined by LF.
        kind: its name; empty where it has none.
    """

    data: bytes
    kind: str = ""


SIGN_OF_LIFE: Final = ServerEvent(b"", ":")  # a comment: it says nothing, but that the server lives


class EventReader:
    """Cut a body into events.

    Args:
        limit_bytes: the longest line, without its end, and the most data of one event.
    """

    def __init__(self, *, limit_bytes: int = LINE_LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._rest = bytearray()  # of a line whose end has not come
        self._after_cr = False  # an LF that comes next belongs to the line before
        self._is_first = True
        self._data: list[bytes] = []
        self._size = 0
        self._kind = ""

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """Take the next bytes of the body and yield the events they complete.

        A comment is yielded as `SIGN_OF_LIFE`.

        Raises:
            BadLineError: a line or an event is too long; after the events before it were yielded.
        """
        if not piece:
            return
        if self._after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_cr = piece.endswith(b"\r")
        *lines, rest = _LINE_END.split(piece)
        for line in lines:
            if self._rest:
                self._keep(line)
                line = bytes(self._rest)  # noqa: PLW2901 - its beginning came before
                self._rest.clear()
            yield from self._line(line)
        self._keep(rest)

    def end(self) -> Iterator[ServerEvent]:
        """Yield the event that the end of the body cut off, if any; it may be no more than half.

        By the standard it does not count: let it be taken only where it turns out to be whole.

        Raises:
            BadLineError: it is too long.
        """
        line = bytes(self._rest)
        self._rest.clear()
        if line:
            yield from self._line(line)
        yield from self._line(b"")

    def _keep(self, part: bytes) -> None:
        if len(self._rest) + len(part) > self._limit:
            raise self._too_long("a line", bytes(self._rest) + part[:512])
        self._rest += part

    def _line(self, line: bytes) -> Iterator[ServerEvent]:
        if len(line) > self._limit:
            raise self._too_long("a line", line)
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(_BOM)
        if not line:
            if self._data:
                yield ServerEvent(b"\n".join(self._data), self._kind)
            self._data, self._size, self._kind = [], 0, ""
        elif line.startswith(b":"):
            yield SIGN_OF_LIFE
        else:
            field, _, value = line.partition(b":")
            self._field(field, value.removeprefix(b" "))

    def _field(self, name: bytes, value: bytes) -> None:
        """Take a field; those for coming back to a stream (id, retry) mean nothing here."""
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > self._limit + 1:
                raise self._too_long("an event", self._data[0])
        elif name == b"event":
            self._kind = value.decode("utf-8", "replace")

    def _too_long(self, what: str, beginning: bytes) -> BadLineError:
        return BadLineError(f"{what} is longer than {self._limit:,} bytes", beginning)
