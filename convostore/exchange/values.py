"""The records of a stream of JSON, as bytes: of an array, of JSON Lines, in wrappers of any nesting.

One record is held at a time. What is no JSON at its place is a record too, a spoiled one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from convostore.exchange.blocks import Blocks, values_in
from convostore.exchange.brackets import Brackets
from convostore.exchange.limits import MIB
from convostore.exchange.streams import SPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convostore.exchange.limits import Limits
    from convostore.exchange.streams import Stream

_BETWEEN: Final = SPACE + b","
_BLOCK_BYTES: Final = MIB // 2
_LOOKS_BYTES: Final = MIB  # so far the file is looked into for lines, and a value for a wrapper
_TOKENS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_KEYS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"\s*:', re.DOTALL)
_SEVERAL: Final = 2
_GOES_ON: Final = (b",", b"[", b"{", b":")
_WRAPPERS: Final = 4  # levels of objects around the records
_TRIES: Final = 64  # values that are looked at before it is said that there is none
_ARRAYS: Final = 100  # of one wrapper
_CUT_OFF: Final = "the file ends in the middle of it"


class Record(NamedTuple):
    """A record of a file.

    Attributes:
        where: its place, as a person finds it.
        raw: its bytes; of a spoiled one none.
        spoiled: why it cannot be read; None where it may be.
        beside: it stands beside the records, in their wrapper, and is none of them.
    """

    where: str
    raw: bytes = b""
    spoiled: str | None = None
    beside: bool = False


def records(stream: Stream, limits: Limits, is_one: Callable[[bytes], bool]) -> Iterator[Record]:
    """Yield the records of a stream, each of them once.

    Args:
        stream: where to read; it is read to its end.
        limits: how much.
        is_one: tells whether bytes are a conversation of any format.
    """
    number = 0
    while first := stream.skip(_BETWEEN):
        if first == b"{" and _is_lines(stream.look(_LOOKS_BYTES)):
            yield from _lines(stream, limits)
            return
        if first not in b"[{":
            yield Record(f"behind record {number}", spoiled="the file goes on with what is no JSON")
            return
        found = _array(stream, limits) if first == b"[" else _object(stream, limits, is_one)
        for one in found:
            number += not one.where
            yield one if one.where else one._replace(where=f"record {number}")


def _is_lines(head: bytes) -> bool:
    """Tell whether each line is a value of its own; *head* begins with an object."""
    *whole, last = head.split(b"\n")
    if len(head) < _LOOKS_BYTES:  # it is all of the file
        whole.append(last)
    lines = [line.strip(SPACE) for line in whole if line.strip(_BETWEEN)][:_SEVERAL]
    rest = last.strip(_BETWEEN) if len(head) == _LOOKS_BYTES else b""
    if len(lines) + bool(rest) < _SEVERAL:
        return False
    if _is_object(lines[0].strip(_BETWEEN)):
        return True
    # The first may be a spoiled one; but not where the second goes on with what it began.
    goes_on = lines[0].endswith(_GOES_ON) or len(lines) < _SEVERAL
    return not goes_on and _is_object(lines[1])


def _is_object(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False
    return line.startswith(b"{")


def _lines(stream: Stream, limits: Limits) -> Iterator[Record]:
    """Yield a record for each line that is not blank."""
    held, number = _Held(limits.line_bytes), 0
    for piece in stream.pieces():
        *ends, rest = piece.split(b"\n")
        for end in ends:
            number += 1
            yield from _line(held.take(end), number, limits)
        held.add(rest)
    yield from _line(held.take(b""), number + 1, limits)


def _line(raw: bytes | None, number: int, limits: Limits) -> Iterator[Record]:
    where = f"line {number}"
    if raw is None:
        yield Record(where, spoiled=f"the line is longer than {limits.line_bytes:,} bytes")
    elif raw:
        yield Record(where, raw)


def _array(stream: Stream, limits: Limits) -> Iterator[Record]:
    """Yield what stands in an array, from the bracket that opens it to the one that closes it."""
    stream.put_back(stream.piece()[1:])
    brackets, held, blocks = Brackets(), _Held(limits.record_bytes), Blocks()
    while block := stream.block(_BLOCK_BYTES):
        if not held.size:  # it begins with a value
            block = block.lstrip(_BETWEEN)
            several, start = blocks.values_of(block)
            for raw in several:
                yield from _item(raw if len(raw) <= limits.record_bytes else None, limits)
            if several:
                stream.put_back(block[start:])
                continue
        cuts, end = brackets.cuts(block)
        start = 0
        for cut in cuts:
            yield from _item(held.take(block[start:cut]), limits)
            start = cut
        if end is not None:
            stream.put_back(block[end + 1 :])
            yield from _item(held.take(block[start:end]), limits)
            return
        if cuts:
            blocks.learn(block, cuts[0])
            stream.put_back(block[start:])
            brackets = Brackets()
        else:
            held.add(block)
    if held.take(b"") == b"":
        yield Record("the end", spoiled="the file ends before its array does")
    else:
        yield Record("", spoiled=_CUT_OFF)


def _item(raw: bytes | None, limits: Limits) -> Iterator[Record]:
    """Yield what stands between two places of an array: one value, and perhaps scalars before it."""
    if raw is None:
        yield Record("", spoiled=_too_long(limits))
    elif raw.startswith((b"{", b"[")):
        yield Record("", raw)
    elif raw:
        # What is wrong with it is told where it is decoded.
        yield from (Record("", one) for one in values_in(raw) or [raw])


def _object(stream: Stream, limits: Limits, is_one: Callable[[bytes], bool]) -> Iterator[Record]:
    """Yield an object, or, if it is a wrapper, what stands in its arrays."""
    arrays = 0
    while True:
        raw, whole = _beginning(stream, _LOOKS_BYTES)
        if whole and not arrays and is_one(raw):
            break
        place = _array_in(raw, is_one) if arrays < _ARRAYS else None
        looked = _LOOKS_BYTES
        while not (place or whole) and len(raw) >= looked and looked < limits.record_bytes:
            looked = min(looked * 8, limits.record_bytes)
            stream.put_back(raw)
            raw, whole = _beginning(stream, looked)
            place = _array_in(raw, is_one)
        if place is None:
            break
        arrays += 1
        stream.put_back(raw[place - 1 :])
        yield from _array(stream, limits)
        stream.put_back(raw[: place - 1] + b"[]")  # once more, without what was read
    if not whole and len(raw) < limits.record_bytes:
        yield Record("", spoiled=_CUT_OFF)
    elif not whole:
        stream.put_back(raw)
        _beginning(stream, None)
        yield Record("", spoiled=_too_long(limits))
    elif not arrays:
        yield Record("", raw)
    elif _KEYS.sub(b"", raw).strip(_BETWEEN + b"[]{}"):
        yield Record("beside the records", raw, beside=True)


def _beginning(stream: Stream, size: int | None) -> tuple[bytes, bool]:
    """Return a value, and that it is whole, or about so much of it; without a size read past it."""
    brackets, held = Brackets(), list[bytes]()
    length = 0
    for piece in stream.pieces():
        cuts, _ = brackets.cuts(piece)
        if cuts:
            stream.put_back(piece[cuts[0] :])
            return b"".join([*held, piece[: cuts[0]]]), True
        if size is not None:
            held.append(piece)
            length += len(piece)
            if length >= size:
                break
    return b"".join(held), False


def _array_in(head: bytes, is_one: Callable[[bytes], bool]) -> int | None:
    """Return the place in an array of conversations, just behind its bracket; None if there is none.

    It stands in objects alone, and so few that one can still speak of a wrapper.
    """
    opened: list[tuple[int, bytes]] = []
    arrays = tries = 0
    for token in _TOKENS.finditer(head):
        match token[0]:
            case b"{" | b"[":
                opened.append((token.start(), token[0]))
                arrays += token[0] == b"["
            case b"}" | b"]" if opened:
                start, bracket = opened.pop()
                arrays -= bracket == b"["
                inside = opened[-1] if opened and arrays == 1 else (0, b"")
                if inside[1] == b"[" and len(opened) <= _WRAPPERS + 1:
                    if is_one(head[start : token.end()]):
                        return inside[0] + 1
                    tries += 1
                    if tries == _TRIES:
                        return None
    return None


def _too_long(limits: Limits) -> str:
    return f"it is longer than {limits.record_bytes:,} bytes"


class _Held:
    """What was read of a record so far; no more than a limit.

    Attributes:
        size: how much, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Hold one piece more."""
        self.size += len(piece)
        self._pieces = [*self._pieces, piece] if self.size <= self._limit else []

    def take(self, piece: bytes) -> bytes | None:
        """Return all with this last *piece*, and hold nothing; None if it is longer than the limit."""
        self.add(piece)
        whole = b"".join(self._pieces).strip(_BETWEEN) if self.size <= self._limit else None
        self._pieces, self.size = [], 0
        return whole
