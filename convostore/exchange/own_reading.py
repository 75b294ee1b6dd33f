"""Read an export of our own, line by line: each conversation whole, or refused by its line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from convostore.errors import FormatError
from convostore.exchange.own_contents import Contents
from convostore.formats import jsonl
from convostore.formats.found import Opaque, Refused
from convostore.formats.own import SOURCE, OwnConversation, flaw
from convostore.records import ConversationRecord, Message, UsageRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.exchange.limits import Limits
    from convostore.exchange.own_contents import Beside, Space
    from convostore.exchange.streams import Stream
    from convostore.formats.found import Found

_BEGINS: Final = b'{"type":"convostore"'
_KIND: Final = re.compile(rb'\s*\{\s*"type"\s*:\s*"(\w+)"')
_NAMED: Final = re.compile(_KIND.pattern + rb'\s*,\s*"id"\s*:\s*"([^"]+)"')
_HEADER: Final = "convostore"
_END: Final = "end"
_NEXT: Final = frozenset({"conversation", "unchanged", _END})  # kinds that end what was told before
_CUT: Final = "the file is cut off: it has no end, and this may not be all of it"


def is_own(stream: Stream) -> bool:
    """Tell whether a stream is an export of ours, by how it begins."""
    return b"".join(stream.look(64).split()).startswith(_BEGINS)


def created_at_ms(line: bytes) -> int | None:
    """Return when an export of ours was written, by its first line; None where it is none."""
    try:
        header = jsonl.entry(line)
    except jsonl.NOT_A_LINE:
        return None
    return header.created_at_ms if isinstance(header, jsonl.Header) else None


def found_in_own(
    stream: Stream, limits: Limits, space: Space, beside: Beside | None
) -> Iterator[Found]:
    """Yield what is found in an export of ours, or in several that follow each other.

    Args:
        stream: where to read; it is read to its end.
        limits: how much.
        space: for the attachments that it tells.
        beside: finds those that are beside it; None where nothing is.

    Raises:
        FormatError: it is of a version that is not known here, or its first line is broken.
    """
    yield from _Reading(space, beside).found(_lines(stream, limits))


class _Line(NamedTuple):
    """A line that is not blank.

    Attributes:
        number: from 1.
        raw: its bytes; only the first where it is too long.
        is_whole: False where it is too long.
        is_ended: False where the file ends in it.
    """

    number: int
    raw: bytes
    is_whole: bool
    is_ended: bool

    @property
    def kind(self) -> str | None:
        """What it begins as; None where that cannot be told."""
        found = _KIND.match(self.raw)
        return found[1].decode() if found else None


def _lines(stream: Stream, limits: Limits) -> Iterator[_Line]:
    return (line for line in _all_lines(stream, limits.line_bytes) if line.raw.strip())


def _all_lines(stream: Stream, most_bytes: int) -> Iterator[_Line]:
    held, length, number = bytearray(), 0, 1
    for piece in stream.pieces():
        *ended, rest = piece.split(b"\n")
        for part in ended:
            held += part[: max(0, most_bytes - length)]
            yield _Line(number, bytes(held), length + len(part) <= most_bytes, is_ended=True)
            held, length, number = bytearray(), 0, number + 1
        held += rest[: max(0, most_bytes - length)]
        length += len(rest)
    if length:
        yield _Line(number, bytes(held), length <= most_bytes, is_ended=False)


def _checked(line: _Line) -> jsonl.Header:
    reason = f"line {line.number}, with which it begins, does not say what it is"
    try:
        header = jsonl.entry(line.raw)
    except jsonl.NOT_A_LINE:
        header = None
    if isinstance(header, jsonl.Header):
        folder = header.attachments_folder
        if header.version != jsonl.VERSION:
            reason = f"it is of version {header.version}, which is not known here"
        elif folder is not None and not _is_name(folder):
            reason = (
                f"its attachments are said to be in {folder[:80]!r}, which is no folder beside it"
            )
        else:
            return header
    raise FormatError(
        f"this export cannot be read: {reason}",
        format=SOURCE,
        record=line.number,
        reason=reason,
        hint="a newer convostore may read it",
    )


def _is_name(folder: str) -> bool:
    """Tell whether it is a name, and no way to somewhere else."""
    return folder not in {"", ".", ".."} and not set(folder) & {"/", "\x00"}


class _Reading:
    """What was read of the conversation that is being told."""

    def __init__(self, space: Space, beside: Beside | None) -> None:
        self._space, self._beside = space, beside
        self._number = self._begin = 0
        self._ended = self._told_after = False
        self._strange: set[str] = set()  # conversations of which it was told that they are not read
        self._clear(None)

    def _clear(self, record: ConversationRecord | None, *, listed: bool = False) -> None:
        self._record, self._listed, self._begin = record, listed, self._number
        self._messages: list[Message] = []
        self._usage: list[UsageRecord] = []
        self._originals: dict[int, str] = {}
        self._spoiled: str | None = None
        self._next_is_strange = False

    def found(self, lines: Iterator[_Line]) -> Iterator[Found]:
        """Yield each conversation when all of it has been told.

        Raises:
            FormatError: as `found_in_own`.
        """
        self._start(next(lines, _Line(1, b"", is_whole=True, is_ended=False)))
        for line in lines:
            self._number = line.number
            if line.kind == _HEADER:
                if not self._ended:
                    yield from self._cut()
                yield from self._next(line)
            elif self._ended:
                if not self._told_after:
                    yield self._refused("from here on it stands after the end")
                self._told_after = True
            else:
                yield from self._line(line)
        if not self._ended:
            yield from self._cut()

    def _next(self, line: _Line) -> Iterator[Found]:
        """Begin a file that follows another; where it cannot be read, tell that, and nothing of it."""
        try:
            self._start(line)
        except FormatError as error:
            yield self._refused(error.reason)
            self._ended = self._told_after = True

    def _start(self, line: _Line) -> None:
        header = _checked(line)
        self._contents = Contents(self._space, self._beside, header.attachments_folder)
        self._told_at_ms = header.created_at_ms
        self._number = line.number
        self._ended = self._told_after = False
        self._strange.clear()
        self._clear(None)

    def _cut(self) -> Iterator[Found]:
        self._spoiled = _CUT
        if self._record is None:
            yield self._refused(_CUT)
        yield from self._finished()

    def _refused(self, reason: str) -> Refused:
        return Refused(where=f"line {self._number}", reason=reason, format=SOURCE)

    def _line(self, line: _Line) -> Iterator[Found]:
        try:
            if not line.is_whole:
                raise ValueError("it is too long")
            entry = jsonl.entry(line.raw)
        except jsonl.NOT_A_LINE as error:
            yield from self._broken(line, f"line {line.number} cannot be read: {error}")
            return
        if isinstance(entry, jsonl.Owned):
            yield from self._owned(entry)
            return
        yield from self._finished()
        if isinstance(entry, jsonl.End):
            self._ended = True
        elif isinstance(entry, jsonl.Unchanged):
            self._clear(entry.record, listed=True)
        elif isinstance(entry, ConversationRecord):
            self._clear(entry)
        else:
            yield self._refused("it is a first line, and stands within the file")

    def _broken(self, line: _Line, reason: str) -> Iterator[Found]:
        """Yield what comes of a line that cannot be read: a refusal for each conversation, not line."""
        begins = line.kind in _NEXT
        if begins:  # what was told before it is whole
            yield from self._finished()
            self._clear(None)
        if not line.is_ended or line.kind == _END:
            return  # the file is cut off in it, as will be told
        if self._record is not None:
            self._spoiled = self._spoiled or reason
        elif begins or not self._strange:
            yield self._refused(reason)
        if begins:
            named = _NAMED.match(line.raw)
            self._next_is_strange = named is None
            self._strange.add(named[2].decode(errors="replace") if named else "")

    def _owned(self, entry: jsonl.Owned) -> Iterator[Found]:
        value, owner = entry.value, entry.conversation_id
        if isinstance(value, jsonl.AttachmentPiece):
            self._contents.take(value)
        elif self._record is None or owner != self._record.id:
            if owner not in self._strange and not self._next_is_strange:
                raw = msgspec.json.encode(value)
                what = f"lines of conversation {owner}, which is not in the file"
                yield Opaque(where=f"line {self._number}", what=what, raw=raw)
            self._strange.add(owner)
            self._next_is_strange = False
        elif isinstance(value, Message):
            self._messages.append(value)
        elif isinstance(value, UsageRecord):
            self._usage.append(value)
        elif isinstance(value, jsonl.Original):
            self._originals[value.seq] = value.data

    def _finished(self) -> Iterator[Found]:
        """Yield the conversation that was being told, if there was one."""
        if self._record is None:
            return
        one = OwnConversation(
            where=f"line {self._begin}",
            record=self._record,
            messages=tuple(self._messages),
            usage=tuple(self._usage),
            originals=self._originals,
            told_at_ms=self._told_at_ms,
            listed=self._listed,
            opener=self._contents.opener,
        )
        spoiled = self._spoiled or flaw(one)
        if spoiled is None:
            yield one
        else:
            yield Refused(where=one.where, reason=spoiled, format=SOURCE)
        self._clear(None)
