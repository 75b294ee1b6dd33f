"""What flows from a provider through a turn to the caller.

A provider yields deltas with `seq` 0; the turn numbers them before it hands them on.
`seq` is a position in the reply: the characters of text and reasoning delivered so far, this
delta included, plus one for each other part that has begun. A reader who saw up to `seq` has
seen exactly that much.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from convostore.records import RemoteThread, Usage


class TextDelta(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """A piece of the answer, unchanged: it may be empty, blank or half a word."""

    text: str
    seq: int = 0


class ReasoningDelta(msgspec.Struct, frozen=True, tag_field="type", tag="reasoning"):
    """A piece of the model's reasoning; never part of the answer. In JSON it is `text`."""

    reasoning: str = msgspec.field(name="text")
    seq: int = 0

    @property
    def text(self) -> str:
        """Nothing: it is no part of the answer, so a loop that prints `text` leaves it out."""
        return ""


class ToolCallDelta(msgspec.Struct, frozen=True, tag_field="type", tag="tool_call"):
    """A piece of a tool call. Pieces with the same `id` belong together.

    Attributes:
        id: the far side's id of the call. A provider whose far side gives none leaves it empty: a
            piece with a name then begins a call, and one without goes on with it; the turn gives
            the call an id, which the delta that the caller gets has, and the stored part.
        name: given with the first piece, empty afterwards.
        args: the next piece of the arguments' text.
    """

    id: str
    name: str
    args: str
    seq: int = 0

    @property
    def text(self) -> str:
        """Nothing: it is no part of the answer, so a loop that prints `text` leaves it out."""
        return ""


class ToolResultDelta(msgspec.Struct, frozen=True, tag_field="type", tag="tool_result"):
    """A tool's whole answer, run by the far side."""

    id: str
    name: str
    content: str
    seq: int = 0

    @property
    def text(self) -> str:
        """Nothing: it is no part of the answer, so a loop that prints `text` leaves it out."""
        return ""


class RemoteUpdate(msgspec.Struct, frozen=True, tag_field="type", tag="remote"):
    """The far side's ids for this exchange; committed before any later text is shown.

    Attributes:
        remote: the thread as the server now has it.
        rehydrated: True when earlier messages went along as text, in a new remote thread.
        dropped_turns: how many of the oldest turns did not fit into that text.
    """

    remote: RemoteThread
    rehydrated: bool = False
    dropped_turns: int = 0


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="finished"):
    """The reply is complete. A stream that ends without it has failed.

    It goes to the turn, not to the caller. Where its `text` differs from the deltas, the caller has
    seen the deltas and `turn.reply` has the text: whoever shows a reply shows `reply.text` at the
    end. Whoever follows the reply of another turn (the same question with the same idempotency key)
    gets its deltas as far as they were on disk, and of the final text only what lies after the
    position reached: there, too, `turn.reply` is what counts.

    Attributes:
        model: the model that answered, as the far side names it.
        finish_reason: as reported; None when the far side says nothing.
        usage: as reported.
        remote: the remote thread at the end, when it differs from the last RemoteUpdate.
        text: the far side's final text, when it differs from the joined deltas; it then
            replaces them. In a `recover` answer it is the whole text.
        reasoning: with `recover`, the whole reasoning text; else empty.
    """

    model: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    remote: RemoteThread | None = None
    text: str | None = None
    reasoning: str = ""


Delta: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta | ToolResultDelta
Event: TypeAlias = Delta | RemoteUpdate | Finished
