"""OpenAI chat rows written: one conversation a line, as fine-tuning takes them.

Source: OpenAI, "Supervised fine-tuning": `messages` of roles, tool calls by id, `content` a text or,
with pictures, a list of parts; null only beside tool calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convostore.formats.linear import Turn, Unfolder
from convostore.formats.writing import Losses, dumps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.formats.writing import Outline, Piece
    from convostore.records import ConversationDossier, Message


class OpenAIWriter:
    """Writes the path of each conversation as a row; one in which nothing is said gets none."""

    origin: str | None = None

    def __init__(self) -> None:
        self.losses = Losses()
        self._unfolder = Unfolder(self.losses)
        self._before = ""

    def opening(self) -> str:
        """Return how the file begins: with nothing."""
        return ""

    def conversation(
        self, one: ConversationDossier, outline: Outline, raw: bytes
    ) -> Iterator[str | int]:
        """Yield the row; its title, id, times and models have no place in it."""
        del one, raw
        self.losses.add("titles, ids, times and models of conversations")
        self.losses.add("messages on other branches", outline.beside)
        self._unfolder = Unfolder(self.losses)
        self._before = '{"messages":['
        yield from outline.path
        if self._before == ",":
            yield "]}\n"
        else:
            self.losses.add("conversations in which nothing is said")

    def message(self, value: Message, raw: bytes) -> Iterator[Piece]:
        """Yield the messages of the row that one of ours becomes."""
        del raw
        for turn in self._unfolder.turns(value):
            yield self._before
            self._before = ","
            yield from _pictured(turn) if turn.images else (dumps(_row(turn)),)

    def closing(self) -> str:
        """Return how the file ends: with nothing."""
        return ""


def _row(turn: Turn) -> dict[str, Any]:
    if turn.result is not None:
        return {
            "role": "tool",
            "tool_call_id": turn.result.id,
            "content": turn.result.content,
        }
    row: dict[str, Any] = {"role": turn.role, "content": turn.text or None}
    if turn.author:
        row["name"] = turn.author
    if turn.calls:
        row["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.args},
            }
            for call in turn.calls
        ]
    return row


def _pictured(turn: Turn) -> Iterator[Piece]:
    """Yield a user's message with pictures, whose bytes are put in by whoever writes this down."""
    name = f',"name":{dumps(turn.author)}' if turn.author else ""
    yield f'{{"role":{dumps(turn.role)}{name},"content":['
    between = ""
    for image in turn.images:
        yield f'{between}{{"type":"image_url","image_url":{{"url":"data:{image.media_type};base64,'
        yield image
        yield '"}}'
        between = ","
    if turn.text:
        yield f"{between}{dumps({'type': 'text', 'text': turn.text})}"
    yield "]}"
