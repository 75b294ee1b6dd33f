"""Claude's export written: what came from there as it was, the rest in its shape."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.claude import ROOT, SOURCE, is_kept
from convostore.formats.writing import Losses, dumps, kept_as
from convostore.parts import (
    AttachmentPart,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.formats.writing import Outline, Piece
    from convostore.records import ConversationDossier, ConversationRecord, Message

_SENDERS: Final = {"user": "human", "assistant": "assistant", "tool": "assistant"}


class ClaudeWriter:
    """Writes an array of conversations, each with its whole tree as a list."""

    origin: str | None = SOURCE

    def __init__(self) -> None:
        self.losses = Losses()
        self._row, self._between = "", ""
        self._outline: Outline | None = None

    def opening(self) -> str:
        """Return how the file begins."""
        return "["

    def conversation(
        self, one: ConversationDossier, outline: Outline, raw: bytes
    ) -> Iterator[str | int]:
        """Yield a conversation; its messages in the order in which they came."""
        self._outline, self._between = outline, ""
        kept = kept_as(raw, is_kept)
        fields = _fields(one.record) if kept is None else kept
        order: dict[str, int] = {}
        for at, name in enumerate(fields.pop("chat_messages", ())):
            order.setdefault(name, at)
        if one.record.title_source == "user":
            fields["name"] = one.record.title
        if kept is None:
            self.losses.add("models, keys, tags, settings and metadata of conversations")
        last = len(order)
        seqs = sorted(outline.nodes, key=lambda seq: (order.get(self._name(seq), last), seq))
        opened = dumps(fields)[:-1]
        yield f'{self._row}\n{opened}{"," if fields else ""}"chat_messages":['
        yield from seqs
        yield "]}"
        self._row = ","

    def message(self, value: Message, raw: bytes) -> Iterator[Piece]:
        """Yield a message of the list."""
        yield self._between
        self._between = ","
        if raw:
            yield raw.decode()
            return
        above = value.parent_seq
        if value.role not in _SENDERS:
            self.losses.add("system messages (told as a person's)")
        if value.status != "completed":
            self.losses.add("endings (stopped, failed, interrupted, still running)")
        blocks = [block for part in value.parts if (block := self._block(part)) is not None]
        at = _iso(value.created_at_ms)
        yield dumps(
            {
                "uuid": self._name(value.seq),
                "text": value.text,
                "content": blocks,
                "sender": _SENDERS.get(value.role, "human"),
                "created_at": at,
                "updated_at": at,
                "attachments": [],
                "files": [
                    {"file_name": part.name}
                    for part in value.parts
                    if isinstance(part, AttachmentPart)
                ],
                "parent_message_uuid": ROOT if above is None else self._name(above),
            }
        )

    def closing(self) -> str:
        """Return how the file ends."""
        return "\n]\n"

    def _name(self, seq: int) -> str:
        return (self._outline.name(seq) if self._outline else None) or ""

    def _block(self, part: Part) -> dict[str, Any] | None:
        match part:
            case TextPart():
                return {"type": "text", "text": part.text, "citations": []}
            case ReasoningPart():
                return {"type": "thinking", "thinking": part.text, "summaries": []}
            case ToolCallPart():
                called = {"type": "tool_use", "id": part.id, "name": part.name}
                return {**called, "input": _parsed(part.args)}
            case ToolResultPart():
                said = [{"type": "text", "text": part.content}]
                result = {"type": "tool_result", "tool_use_id": part.id, "name": part.name}
                return {**result, "content": said, "is_error": False}
            case AttachmentPart():
                self.losses.add("attachments (their names are told)")
            case OpaquePart(data=dict() as data) if "type" in data:
                return data
            case _:
                self.losses.add("parts of unknown kinds")
        return None


def _parsed(args: str) -> object:
    try:
        return msgspec.json.decode(args)
    except (msgspec.DecodeError, RecursionError):
        return {"arguments": args}


def _iso(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _fields(record: ConversationRecord) -> dict[str, Any]:
    return {
        "uuid": record.id,
        "name": record.title or "",
        "summary": "",
        "created_at": _iso(record.created_at_ms),
        "updated_at": _iso(record.updated_at_ms),
        "account": {"uuid": ""},
    }
