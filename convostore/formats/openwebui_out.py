"""Open WebUI's export written: what came from there as it was, the rest in its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from convostore.formats.openwebui import SOURCE, is_kept
from convostore.formats.writing import Losses, dumps, is_image, kept_as
from convostore.parts import (
    AttachmentPart,
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


class OpenWebUIWriter:
    """Writes an array of rows, each with its whole tree, and its path once more as a list."""

    origin: str | None = SOURCE

    def __init__(self) -> None:
        self.losses = Losses()
        self._row, self._between = "", ""
        self._outline: Outline | None = None
        self._names: dict[int, str] = {}
        self._below: dict[int | None, list[int]] = {}
        self._listed = False
        self._model: str | None = None

    def opening(self) -> str:
        """Return how the file begins."""
        return "["

    def conversation(
        self, one: ConversationDossier, outline: Outline, raw: bytes
    ) -> Iterator[str | int]:
        """Yield a row: the messages by id, then their list, then what else is told of it."""
        record = one.record
        self._outline, self._below, self._model = outline, outline.children(), record.model
        self._names = {seq: node.source_id or node.id for seq, node in outline.nodes.items()}
        kept = kept_as(raw, is_kept)
        row = _fields(record) if kept is None else kept
        if kept is None and (record.key or record.settings or record.metadata):
            self.losses.add("keys, settings and metadata")
        inner = row.get("chat")
        bare = not inner or not isinstance(inner, dict)  # the inner chat stood alone
        chat, row = (row, {}) if bare else (row.pop("chat"), row)
        history = chat.pop("history")
        odd = history.pop("messages", {})
        self._settle(row, chat, history, record, imported=kept is not None)
        yield f"{self._row}\n{'' if bare else _opened(row) + dumps('chat') + ':'}{_opened(chat)}"
        yield f'"history":{_opened(history)}"messages":{{'
        yield from self._messages(outline.nodes, odd)
        yield "}}"
        if kept is None:
            yield ',"messages":['
            self._listed, self._between = True, ""
            yield from (-seq for seq in outline.path)
            yield "]"
        yield "}" if bare else "}}"
        self._row = ","

    def _messages(self, seqs: dict[int, Any], odd: dict[str, Any]) -> Iterator[str | int]:
        self._listed, self._between = False, ""
        for id_, value in odd.items():
            if isinstance(value, list):  # in whose place there was no message
                yield f"{self._between}{dumps(id_)}:{dumps(value[0])}"
                self._between = ","
        yield from seqs

    def message(self, value: Message, raw: bytes) -> Iterator[Piece]:
        """Yield a message, by its id or in the list."""
        named = "" if self._listed else f"{dumps(self._name(value.seq))}:"
        before = f"{self._between}{named}"
        self._between = ","
        if raw:
            added = [
                self._name(seq) for seq in self._below.get(value.seq, ()) if self._is_ours(seq)
            ]
            told = dumps(_append(msgspec.json.decode(raw), added)) if added else raw.decode()
            yield before + told
            return
        fields = self._fields_of(value)
        images = [part for part in value.parts if is_image(part)]
        if not images:
            yield before + dumps(fields)
            return
        yield f'{before}{_opened(fields)}"files":['
        between = ""
        for image in images:
            if isinstance(image, AttachmentPart):
                named = f'"type":"image","name":{dumps(image.name)}'
                yield f'{between}{{{named},"url":"data:{image.media_type};base64,'
                yield image
                yield '"}'
                between = ","
        yield "]}"

    def closing(self) -> str:
        """Return how the file ends."""
        return "\n]\n"

    def _name(self, seq: int) -> str:
        return self._names.get(seq, "")

    def _is_ours(self, seq: int | None) -> bool:
        node = self._outline.nodes.get(seq) if self._outline and seq is not None else None
        return node is not None and node.source_id is None

    def _settle(
        self,
        row: dict[str, Any],
        chat: dict[str, Any],
        history: dict[str, Any],
        record: ConversationRecord,
        *,
        imported: bool,
    ) -> None:
        """Bring what may have changed here since an import up to date."""
        outline = self._outline
        stands = outline.name(record.head_seq) if outline else None
        stood = history.get("currentId")
        known = stood in self._names.values()
        if not imported or known or self._is_ours(record.head_seq):
            history["currentId"] = stands
        if record.title_source == "user":
            for place in (row, chat):
                if "title" in place:
                    place["title"] = record.title
        for name, state in (("archived", bool(record.archived_at_ms)), ("pinned", record.pinned)):
            if row and state != (row.get(name) is True):
                row[name] = state

    def _fields_of(self, value: Message) -> dict[str, Any]:
        """Return a message in their shape; the items of an answer say what a text cannot."""
        above = value.parent_seq
        fields: dict[str, Any] = {
            "id": self._name(value.seq),
            "parentId": None if above is None else self._name(above),
            "childrenIds": [self._name(seq) for seq in self._below.get(value.seq, ())],
            "role": "assistant" if value.role == "tool" else value.role,
            "content": value.text,
            "timestamp": value.created_at_ms // 1000,
        }
        if self._listed:
            self._counted(value)
        if value.role == "user":
            fields["models"] = [self._model] if self._model else []
        if fields["role"] == "assistant":
            fields |= {"model": value.model or "", "modelName": value.model or "", "modelIdx": 0}
            fields["done"] = value.status not in {"streaming", "interrupted", "stopped"}
            if output := _items(value):
                fields["output"] = output
        if value.error is not None:
            fields["error"] = {"content": value.error.message}
        return fields

    def _counted(self, value: Message) -> None:
        """Count what of a message has no place there; of those on the path, which are told twice."""
        others = [
            part for part in value.parts if isinstance(part, AttachmentPart) and not is_image(part)
        ]
        self.losses.add("attachments that are no pictures", len(others))
        if value.author:
            self.losses.add("names of authors")


def _opened(fields: dict[str, Any]) -> str:
    """Return an object that more is to be put in."""
    text = dumps(fields)
    return text if text == "{" else f"{text[:-1]}{',' if fields else ''}"


def _append(one: dict[str, Any], names: list[str]) -> dict[str, Any]:
    if isinstance(one, dict) and isinstance(one.get("childrenIds"), list):
        one["childrenIds"] += [name for name in names if name not in one["childrenIds"]]
    return one


def _items(value: Message) -> list[dict[str, Any]]:
    """Return the items of an answer that is more than its text; else none."""
    plain = all(isinstance(part, TextPart | AttachmentPart) for part in value.parts)
    if plain and value.role != "tool":
        return []
    return [item for at, part in enumerate(value.parts) if (item := _item(part, value, at))]


def _item(part: Part, value: Message, at: int) -> dict[str, Any] | None:
    id_ = f"{value.id}-{at}"
    match part:
        case TextPart():
            said = [{"type": "output_text", "text": part.text}]
            return {"type": "message", "id": id_, "role": "assistant", "content": said}
        case ReasoningPart():
            said = [{"type": "output_text", "text": part.text}]
            return {"type": "reasoning", "id": id_, "summary": [], "content": said}
        case ToolCallPart():
            return {
                "type": "function_call",
                "id": id_,
                "call_id": part.id,
                "name": part.name,
                "arguments": part.args,
            }
        case ToolResultPart():
            said = [{"type": "input_text", "text": part.content}]
            return {"type": "function_call_output", "call_id": part.id, "output": said}
        case AttachmentPart():
            return None
    data = part.data
    return data if isinstance(data, dict) and "type" in data else {"type": part.kind, "data": data}


def _fields(record: ConversationRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "user_id": "",
        "title": record.title or "",
        "created_at": record.created_at_ms // 1000,
        "updated_at": record.updated_at_ms // 1000,
        "share_id": None,
        "archived": bool(record.archived_at_ms),
        "pinned": record.pinned,
        "meta": {"tags": list(record.tags)},
        "folder_id": record.folder,
        "chat": {
            "id": record.id,
            "title": record.title or "",
            "models": [record.model] if record.model else [],
            "params": {},
            "tags": list(record.tags),
            "timestamp": record.created_at_ms,
            "history": {},
        },
    }
