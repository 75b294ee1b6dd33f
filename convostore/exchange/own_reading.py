"""Read an export of our own, line by line: each conversation whole, or refused by its line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
    """Yield what is found in an export of ours.

    Args:
        stream: where to read; it is read to its end.
        limits: how much.
        space: for the attachments that it tells.
        beside: finds those that are beside it; None where nothing is.

    Raises:
        FormatError: it is of a version that is not known here, or its first line is broken.
    """
    lines = _lines(stream, limits)
    header = _header(next(lines, b""))
    contents = Contents(space, beside, header.attachments_folder)
    yield from _Reading(contents).found(lines)


def _header(line: bytes | None) -> jsonl.Header:
    reason = "its first line does not say what it is"
    try:
        header = jsonl.entry(line or b"")
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
        record=1,
        reason=reason,
        hint="a newer convostore may read it",
    )


def _is_name(folder: str) -> bool:
    """Tell whether it is a name, and no way to somewhere else."""
    return folder not in {"", ".", ".."} and not set(folder) & {"/", "\\", "\x00"}


def _lines(stream: Stream, limits: Limits) -> Iterator[bytes | None]:
    """Yield the lines; None for one that is too long."""
    held: list[bytes] = []
    length = 0
    for piece in stream.pieces():
        *whole, rest = piece.split(b"\n")
        for part in whole:
            held.append(part)
            length += len(part)
            yield b"".join(held) if length <= limits.line_bytes else None
            held, length = [], 0
        length += len(rest)
        if length <= limits.line_bytes:
            held.append(rest)
        else:
            held.clear()
    if length:
        yield b"".join(held) if length <= limits.line_bytes else None


class _Reading:
    """What was read of the conversation that is being told."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._number = 1
        self._begin = 0
        self._spoiled: str | None = None
        self._ended = False
        self._clear(None)

    def _clear(self, record: ConversationRecord | None, *, listed: bool = False) -> None:
        self._record, self._listed, self._begin = record, listed, self._number
        self._messages: list[Message] = []
        self._usage: list[UsageRecord] = []
        self._originals: dict[int, str] = {}
        self._spoiled = None

    def found(self, lines: Iterator[bytes | None]) -> Iterator[Found]:
        """Yield each conversation when all of it has been told."""
        for line in lines:
            self._number += 1
            if self._ended:
                yield Refused(where=self._where, reason="it stands after the end", format=SOURCE)
                continue
            yield from self._line(line)
        if not self._ended:
            self._spoiled = _CUT
            if self._record is None:
                yield Refused(where=f"line {self._number}", reason=_CUT, format=SOURCE)
            yield from self._finished()

    @property
    def _where(self) -> str:
        return f"line {self._number}"

    def _line(self, line: bytes | None) -> Iterator[Found]:
        try:
            if line is None:
                raise ValueError("it is too long")
            entry = jsonl.entry(line)
        except jsonl.NOT_A_LINE as error:
            reason = f"line {self._number} cannot be read: {error}"
            if self._record is None:
                yield Refused(where=self._where, reason=reason, format=SOURCE)
            self._spoiled = self._spoiled or reason
            return
        if isinstance(entry, jsonl.Owned):
            yield from self._owned(entry)
            return
        yield from self._finished()
        if isinstance(entry, jsonl.End):
            self._ended = True
        elif isinstance(entry, jsonl.Header):
            yield Refused(where=self._where, reason="another file begins here", format=SOURCE)
        else:
            listed = isinstance(entry, jsonl.Unchanged)
            record = entry.record if isinstance(entry, jsonl.Unchanged) else entry
            self._clear(record, listed=listed)

    def _owned(self, entry: jsonl.Owned) -> Iterator[Found]:
        value = entry.value
        if isinstance(value, jsonl.AttachmentPiece):
            self._contents.take(value)
        elif self._record is None or entry.conversation_id != self._record.id:
            raw = msgspec.json.encode(value)
            what = f"a line of conversation {entry.conversation_id}, which is not in the file"
            yield Opaque(where=self._where, what=what, raw=raw)
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
            listed=self._listed,
            opener=self._contents.opener,
        )
        spoiled = self._spoiled or flaw(one)
        if spoiled is None:
            yield one
        else:
            yield Refused(where=one.where, reason=spoiled, format=SOURCE)
        self._clear(None)
