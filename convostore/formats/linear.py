"""A message unfolded into turns, for formats that know a line of speakers and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convostore.formats.writing import is_image
from convostore.parts import (
    AttachmentPart,
    OpaquePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from convostore.records import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.formats.writing import Losses
    from convostore.records import Message


class Turn(msgspec.Struct, kw_only=True):
    """What one speaker says at a time.

    Attributes:
        calls: of tools, made after the text.
        result: of a tool: then it is all there is.
        images: they stand before the text.
    """

    role: Role
    author: str | None = None
    text: str = ""
    images: list[AttachmentPart] = []
    calls: list[ToolCallPart] = []
    result: ToolResultPart | None = None

    def is_empty(self) -> bool:
        """Tell whether nothing is said."""
        return not (self.text or self.images or self.calls or self.result)


class Unfolder:
    """Unfolds the messages of a path, one after the other, and pairs tool calls with their results."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._open: list[ToolCallPart] = []  # calls without a result yet
        self._number = 0

    def turns(self, value: Message) -> Iterator[Turn]:
        """Yield the turns of *value*; a call ends one, and so does a result."""
        if value.status != "completed":
            self._losses.add("endings (stopped, failed, interrupted, still running)")
        turn = Turn(role=value.role, author=value.author)
        for part in value.parts:
            if isinstance(part, ToolResultPart):
                if not turn.is_empty():
                    yield turn
                turn = Turn(role=value.role, author=value.author)
                if (answered := self._answered(part)) is None:
                    self._losses.add("tool results that answer no call")
                else:
                    yield Turn(role="tool", author=part.name or None, result=answered)
            elif isinstance(part, TextPart) and turn.calls:
                yield turn
                turn = Turn(role=value.role, author=value.author, text=part.text)
            else:
                self._take(turn, part)
        if not turn.is_empty():
            yield turn
        elif not value.parts:
            self._losses.add("messages in which nothing is said")

    def _take(self, turn: Turn, part: object) -> None:
        if isinstance(part, TextPart):
            turn.text += part.text
        elif isinstance(part, ToolCallPart) and turn.role == "assistant":
            self._number += 1
            call = part if part.id else ToolCallPart(f"call_{self._number}", part.name, part.args)
            turn.calls = [*turn.calls, call]
            self._open.append(call)
        elif is_image(part) and isinstance(part, AttachmentPart) and turn.role == "user":
            turn.images = [*turn.images, part]
        elif isinstance(part, AttachmentPart):
            self._losses.add("attachments")
        elif isinstance(part, ReasoningPart):
            self._losses.add("runs of reasoning")
        elif isinstance(part, OpaquePart):
            self._losses.add("parts of unknown kinds")
        else:
            self._losses.add("tool calls that are not an answer's")

    def _answered(self, part: ToolResultPart) -> ToolResultPart | None:
        """Return the result with the id of its call: the oldest open one, where it names none."""
        for at, call in enumerate(self._open):
            if not part.id or call.id == part.id:
                del self._open[at]
                return ToolResultPart(call.id, part.name or call.name, part.content)
        return None
