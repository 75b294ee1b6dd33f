"""A reply while it is being made: its parts, its position, and what of it is not on disk yet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import msgspec

from convostore.events import Delta, ReasoningDelta, TextDelta, ToolCallDelta, ToolResultDelta
from convostore.ids import new_token
from convostore.parts import Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from convostore.storage.rows import encode_piece

if TYPE_CHECKING:
    from collections.abc import Sequence

REPLACEMENT = "\ufffd"
JournalRow = tuple[int, str, str]
StructT = TypeVar("StructT", bound=msgspec.Struct)
_MOST_COST = 2**63 // 10**9  # costs are kept as billionths in a column of 64 bits


def cleaned(text: str) -> str:
    """Return a far side's text as it can be stored: NUL and lone surrogates become U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", REPLACEMENT)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def storable(struct: StructT) -> StructT:
    """Return a far side's values as they can be stored: texts cleaned, absurd numbers left out."""
    changed: dict[str, object] = {}
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if value is None:
            continue
        if isinstance(value, str):
            new: object = cleaned(value)
        elif isinstance(value, msgspec.Struct):
            new = storable(value)
        else:
            new = None if isinstance(value, float | int) and not _fits(value) else value
        if new is not value:
            changed[name] = new
    return msgspec.structs.replace(struct, **changed) if changed else struct


def _fits(number: float) -> bool:
    if isinstance(number, int):
        return 0 <= number < 2**63  # counts and times; a count below 0 is none
    return math.isfinite(number) and abs(number) < _MOST_COST


def _said(text: str | None) -> str:
    """Return a far side's text, cleaned; what it left out is empty."""
    return "" if text is None else cleaned(text)


class _Call:
    """A tool call whose pieces still arrive."""

    __slots__ = ("args", "id", "name", "seq")

    def __init__(self, id: str, name: str, seq: int) -> None:
        self.id, self.name, self.seq = id, name, seq
        self.args: list[str] = []

    def part(self) -> ToolCallPart:
        return ToolCallPart(id=self.id, name=self.name, args="".join(self.args))


class ReplyBuffer:
    """Gathers deltas into parts, and hands out what the journal has to take next.

    Attributes:
        seq: the position reached (see `convostore.events`).
        unsaved_bytes: how much was taken since the last `unsaved()`, about; never too little
            by more than the escapes of JSON.
        unsaved_since_s: when the oldest of it was taken, by the monotonic clock.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.unsaved_bytes = 0
        self.unsaved_since_s = 0.0
        self._parts: list[list[str] | _Call | ToolResultPart] = []
        self._kinds: list[str] = []
        self._calls: dict[str, _Call] = {}
        self._run: list[str] = []
        self._run_kind = ""
        self._run_seq = 0
        self._rows: list[JournalRow] = []
        self._changed: dict[int, _Call] = {}

    def take(self, delta: Delta, now_s: float) -> Delta:
        """Add a delta; return it cleaned and numbered."""
        if not self.unsaved_bytes:
            self.unsaved_since_s = now_s
        if isinstance(delta, TextDelta):
            self._take_text("text", text := cleaned(delta.text))
            return TextDelta(text, self.seq)
        if isinstance(delta, ReasoningDelta):
            self._take_text("reasoning", text := cleaned(delta.reasoning))
            return ReasoningDelta(text, self.seq)
        if isinstance(delta, ToolCallDelta):
            return self._take_call(delta)
        return self._take_result(delta)

    def _take_text(self, kind: str, text: str) -> None:
        if not text:
            return
        if self._run_kind != kind:
            self._end_run()
            self._run_kind, self._run_seq = kind, self.seq
        elif not self._run:
            self._run_seq = self.seq
        self._run.append(text)
        if not self._kinds or self._kinds[-1] != kind:
            self._kinds.append(kind)
            self._parts.append([])
        run = self._parts[-1]
        if isinstance(run, list):
            run.append(text)
        self.seq += len(text)
        self.unsaved_bytes += len(text) if text.isascii() else len(text.encode())

    def _take_call(self, delta: ToolCallDelta) -> ToolCallDelta:
        id_, name, args = _said(delta.id), _said(delta.name), _said(delta.args)
        call = self._call_of(id_, name)
        if call is None:
            self._end_run()
            call = _Call(id_ or f"call_{new_token()}", name, self.seq)
            self._calls[id_] = self._calls[call.id] = call
            self._parts.append(call)
            self._kinds.append("tool_call")
            self.seq += 1
        id_ = call.id
        call.name = call.name or name
        call.args.append(args)
        self._changed[call.seq] = call
        self.unsaved_bytes += len(id_) + len(name) + len(args.encode()) + 1
        return ToolCallDelta(id_, name, args, self.seq)

    def _call_of(self, id_: str, name: str) -> _Call | None:
        """Return the call that a piece goes on with; without an id, a new name begins a new call."""
        call = self._calls.get(id_)
        if call is not None and not id_ and name and call.name:
            return None
        return call

    def _take_result(self, delta: ToolResultDelta) -> ToolResultDelta:
        self._end_run()
        part = ToolResultPart(_said(delta.id), _said(delta.name), _said(delta.content))
        self._parts.append(part)
        self._kinds.append("tool_result")
        self._rows.append((self.seq, "tool_result", encode_piece(part)))
        self.seq += 1
        self.unsaved_bytes += len(part.content.encode()) + 1
        return ToolResultDelta(part.id, part.name, part.content, self.seq)

    def _end_run(self) -> None:
        if self._run:
            self._rows.append((self._run_seq, self._run_kind, "".join(self._run)))
            self._run = []
        self._run_kind = ""

    def unsaved(self) -> tuple[JournalRow, ...]:
        """Hand out what is not on disk yet, and count it as on its way."""
        self._end_run()
        rows = self._rows + [
            (seq, "tool_call", encode_piece(call.part())) for seq, call in self._changed.items()
        ]
        self._rows, self._changed, self.unsaved_bytes = [], {}, 0
        return tuple(rows)

    def parts(self) -> tuple[Part, ...]:
        """Return what has arrived so far, in order."""
        made: list[Part] = []
        for kind, part in zip(self._kinds, self._parts, strict=True):
            if isinstance(part, _Call):
                made.append(part.part())
            elif isinstance(part, ToolResultPart):
                made.append(part)
            else:
                joined = "".join(part)
                made.append(TextPart(joined) if kind == "text" else ReasoningPart(joined))
        return tuple(made)

    def text(self) -> str:
        """Return the text of the answer so far."""
        return "".join(part.text for part in self.parts() if isinstance(part, TextPart))


def with_final_text(parts: Sequence[Part], text: str | None) -> tuple[Part, ...]:
    """Return *parts* with their text replaced by the far side's final *text*, if it gave one.

    The text stands where the first text part stood; other parts keep their places.
    """
    if text is None:
        return tuple(parts)
    text = cleaned(text)
    if text == "".join(part.text for part in parts if isinstance(part, TextPart)):
        return tuple(parts)
    places = [at for at, part in enumerate(parts) if isinstance(part, TextPart)]
    at = places[0] if places else len(parts)
    rest: list[Part] = [part for part in parts if not isinstance(part, TextPart)]
    before = sum(1 for part in parts[:at] if not isinstance(part, TextPart))
    new: list[Part] = [TextPart(text)] if text else []
    return tuple(rest[:before] + new + rest[before:])
