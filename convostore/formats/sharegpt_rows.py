"""ShareGPT rows written: who said what, in a line; an array, one row for each conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from convostore.formats.linear import Turn, Unfolder
from convostore.formats.writing import Losses, dumps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.formats.writing import Outline, Piece
    from convostore.parts import ToolCallPart
    from convostore.records import ConversationDossier, Message, Role

_SPEAKERS: Final[dict[Role, str]] = {
    "user": "human",
    "assistant": "gpt",
    "system": "system",
    "tool": "observation",
}


class ShareGPTWriter:
    """Writes the path of each conversation as a row."""

    origin: str | None = None

    def __init__(self) -> None:
        self.losses = Losses()
        self._unfolder = Unfolder(self.losses)
        self._row, self._turn = "", ""

    def opening(self) -> str:
        """Return how the file begins."""
        return "["

    def conversation(
        self, one: ConversationDossier, outline: Outline, raw: bytes
    ) -> Iterator[str | int]:
        """Yield the row; times and models have no place in it."""
        del raw
        self.losses.add("times and models of conversations")
        self.losses.add("messages on other branches", outline.beside)
        self._unfolder = Unfolder(self.losses)
        title = f'"title":{dumps(one.record.title)},' if one.record.title else ""
        yield f'{self._row}\n{{"id":{dumps(one.record.id)},{title}"conversations":['
        self._turn = ""
        yield from outline.path
        yield "]}"
        self._row = ","

    def message(self, value: Message, raw: bytes) -> Iterator[Piece]:
        """Yield the turns that a message becomes."""
        del raw
        for turn in self._unfolder.turns(value):
            self.losses.add("attachments", len(turn.images))
            if turn.author and turn.result is None:
                self.losses.add("names of authors")
            for speaker, said in _spoken(turn):
                yield f"{self._turn}{dumps({'from': speaker, 'value': said})}"
                self._turn = ","

    def closing(self) -> str:
        """Return how the file ends."""
        return "\n]\n"


def _spoken(turn: Turn) -> Iterator[tuple[str, str]]:
    if turn.result is not None:
        yield "observation", turn.result.content
    if turn.text:
        yield _SPEAKERS[turn.role], turn.text
    for call in turn.calls:
        yield "function_call", _call(call)


def _call(call: ToolCallPart) -> str:
    """Return a call as this format has it; arguments that are no JSON stay the text they are."""
    try:
        args = msgspec.json.decode(call.args)
    except (msgspec.DecodeError, RecursionError):
        args = call.args
    return dumps({"name": call.name, "arguments": args})
