"""Tool calls and their results, brought together: a model is never told of one without the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.framed import without_frame
from convostore.parts import (
    AttachmentPart,
    OpaquePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from convostore.providers.provider import ChatMessage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from convostore.parts import Part
    from convostore.records import Message

NO_RESULT: Final = "(no result: the call was broken off)"
_ARGUMENTS: Final = msgspec.json.Decoder(dict[str, Any])


class Exchange:
    """The calls of one turn, and the results that were found for them.

    Attributes:
        foreign: parts that were left out, for another provider or model made them.
    """

    def __init__(self, moved: Collection[tuple[int, int]] = ()) -> None:
        """Begin.

        Args:
            moved: calls that are told elsewhere, by the identity of their message and their place.
        """
        self._moved = moved
        self._calls: list[Call] = []
        self._orphans: list[ToolResultPart] = []
        self.foreign = 0

    @property
    def mended(self) -> int:
        """How many calls were given arguments, an id or a result, or are left out without one."""
        return sum(call.mended for call in self._calls)

    def said(self, message: Message, *, own: bool) -> list[Step]:
        """Take in what a model said: a step ends where results come, and another one begins.

        Args:
            message: as stored.
            own: who is asked made it; else its reasoning and what is opaque stay out.
        """
        steps = [Step()]
        for number, part in enumerate(_parts(message)):
            if isinstance(part, ToolResultPart):
                self.answered([part])
                steps[-1].ended = bool(steps[-1].calls)
                continue
            if steps[-1].ended:
                steps.append(Step())
            if isinstance(part, ToolCallPart):
                at = (id(message), number)
                if at in self._moved:
                    continue
                call = Call(part, spare_id=f"call_{message.seq}_{number}", at=at)
                self._calls.append(call)
                steps[-1].calls.append(call)
                steps[-1].parts.append(call)
            elif own or not isinstance(part, ReasoningPart | OpaquePart):
                steps[-1].parts.append(part)
            else:
                self.foreign += 1
        return steps

    def answered_by(self, results: Collection[ToolResultPart]) -> list[Call]:
        """Return the calls that some of *results* were found for."""
        return [call for call in self._calls if any(call.result is one for one in results)]

    def answered(self, results: Iterable[ToolResultPart]) -> None:
        """Give results to the calls before them; where a result names none, to the first of its tool."""
        for result in results:
            calls = reversed(self._calls) if result.id else iter(self._calls)
            if not _given(calls, result):
                self._orphans.append(result)

    def answered_later(self, waiting: Iterable[ToolResultPart]) -> list[ToolResultPart]:
        """Give results of later turns, which name a call, to those calls that have none yet.

        Returns:
            The results that nobody has called for, this turn's own among them.
        """
        return self._orphans + [
            one for one in waiting if not one.id or not _given(reversed(self._calls), one)
        ]


class Step:
    """What a model said before results came: words, thoughts and calls, in order.

    Attributes:
        ended: results have come.
    """

    def __init__(self, calls: Iterable[Call] = ()) -> None:
        self.calls: list[Call] = list(calls)
        self.parts: list[Part | Call] = list(self.calls)
        self.ended = False

    def told(self, *, attachments: bool) -> list[ChatMessage]:
        """Return the assistant's message and the results of its calls; nothing, where nothing was said."""
        parts: list[Part] = []
        results: list[ToolResultPart] = []
        files: list[AttachmentPart] = []
        ids: set[str] = set()
        for part in self.parts:
            if isinstance(part, Call):
                part.renamed = part.part.id in ids
                ids.add(part.part.id)
                if (pair := part.settled()) is not None:
                    parts.append(pair[0])
                    results.append(pair[1])
            elif not isinstance(part, AttachmentPart):
                parts.append(part)
            elif attachments:
                files.append(part)
        text = "".join(part.text for part in parts if isinstance(part, TextPart))
        if not (text or results or files):
            return []
        more = () if all(isinstance(part, TextPart) for part in parts) else tuple(parts)
        return [
            ChatMessage("assistant", text, tuple(files), None, more),
            *(ChatMessage("tool", one.content, (), None, (one,)) for one in results),
        ]


class Call:
    """A call, and the result that was found for it."""

    def __init__(self, part: ToolCallPart, *, spare_id: str, at: tuple[int, int]) -> None:
        self.part, self.at = part, at
        self.result: ToolResultPart | None = None
        self.renamed = False  # another call of the same message has its id
        self._spare_id = spare_id

    @property
    def mended(self) -> bool:
        """Whether it is not told as it is in the record."""
        return (
            self.result is None
            or self.renamed
            or not self.part.id
            or not _is_object(self.part.args)
        )

    def settled(self) -> tuple[ToolCallPart, ToolResultPart] | None:
        """Return it with its result; None where it broke off before it could be made.

        Servers refuse a whole conversation for one call whose arguments are no JSON object.
        """
        part = self.part
        args = part.args if part.args.strip() else "{}"
        if not _is_object(args):
            if self.result is None:
                return None
            args = msgspec.json.encode({"unreadable": args}).decode()
        id_ = self._spare_id if self.renamed else part.id or self._spare_id
        result = self.result or ToolResultPart(id_, part.name, NO_RESULT)
        return (
            ToolCallPart(id_, part.name, args),
            ToolResultPart(id_, result.name or part.name, result.content),
        )

    def is_for(self, result: ToolResultPart) -> bool:
        """Tell whether *result* may be this call's."""
        if self.result is not None:
            return False
        return result.id == self.part.id if result.id else result.name in {"", self.part.name}


def results_of(message: Message) -> list[ToolResultPart]:
    """Return the results in a message; one of the role `tool` that has only text is one."""
    found = [part for part in message.parts if isinstance(part, ToolResultPart)]
    if not found and message.role == "tool" and message.text:
        return [ToolResultPart("", "", message.text)]
    return found


def _parts(message: Message) -> tuple[Part, ...]:
    parts = without_frame(message).parts  # that is for a framework alone
    return parts or ((TextPart(message.text),) if message.text else ())


def _given(calls: Iterable[Call], result: ToolResultPart) -> bool:
    for call in calls:
        if call.is_for(result):
            call.result = result
            return True
    return False


def _is_object(args: str) -> bool:
    if not args.strip():
        return True
    try:
        _ARGUMENTS.decode(args)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True
