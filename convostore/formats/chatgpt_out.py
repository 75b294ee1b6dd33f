"""ChatGPT's `conversations.json` written: what came from there as it was, the rest in its shape.

A message that came from ChatGPT and its conversation are given back as the objects they were. One of
ours becomes a node; one with reasoning, tool calls or results in it becomes several, one after the
other, for a node there has one kind of content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.chatgpt import SOURCE, is_kept
from convostore.formats.writing import Losses, dumps, kept_as, seconds
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

_ROOT: Final = "client-created-root"
_STATUSES: Final = {
    "completed": "finished_successfully",
    "stopped": "finished_partial_completion",
    "failed": "finished_partial_completion",
    "interrupted": "in_progress",
    "streaming": "in_progress",
    "erased": "finished_successfully",
}


class ChatGPTWriter:
    """Writes an array of conversations, each with its whole tree."""

    origin: str | None = SOURCE

    def __init__(self) -> None:
        self.losses = Losses()
        self._row, self._node = "", ""
        self._outline: Outline | None = None
        self._below: dict[int | None, list[int]] = {}
        self._last: dict[int, str] = {}  # of a message that became several nodes
        self._root = _ROOT

    def opening(self) -> str:
        """Return how the file begins."""
        return "["

    def conversation(
        self, one: ConversationDossier, outline: Outline, raw: bytes
    ) -> Iterator[str | int]:
        """Yield a conversation: its nodes, then what else is told of it."""
        kept = kept_as(raw, is_kept)
        imported = kept is not None
        fields = _fields(one.record) if kept is None else kept
        bare: dict[str, Any] = fields.pop("mapping", {})
        fields.pop("mapping_order", None)
        self._outline, self._below, self._last = outline, outline.children(), {}
        self._root = _root_of(bare)
        self._told_elsewhere(one.record, imported=imported)
        added = [outline.name(seq) for seq in self._below.get(None, ()) if self._is_ours(seq)]
        if not imported or (added and not isinstance(bare.get(self._root), dict)):
            bare[self._root] = {"id": self._root, "message": None, "parent": None, "children": []}
        if added:
            _append(bare[self._root], added)
        yield f'{self._row}\n{{"mapping":{{'
        self._node = ""
        for id_, node in bare.items():
            yield f"{self._node}{dumps(id_)}:{dumps(node)}"
            self._node = ","
        yield from outline.nodes
        self._settle(fields, one.record, imported=imported)
        rest = dumps(fields)
        yield f"}}{',' if fields else ''}{rest[1:]}"
        self._row = ","

    def message(self, value: Message, raw: bytes) -> Iterator[Piece]:
        """Yield the node of a message, or its nodes."""
        if raw:
            name, node = self._name(value.seq), raw.decode()
            if added := [self._name(seq) for seq in self._ours_below(value.seq)]:
                node = dumps(_append(msgspec.json.decode(raw), added))
            yield f"{self._node}{dumps(name)}:{node}"
            self._node = ","
            return
        for node_of in self._nodes(value):
            yield f"{self._node}{dumps(node_of['id'])}:{dumps(node_of)}"
            self._node = ","

    def closing(self) -> str:
        """Return how the file ends."""
        return "\n]\n"

    def _settle(
        self, fields: dict[str, Any], record: ConversationRecord, *, imported: bool
    ) -> None:
        """Bring what may have changed here since an import up to date."""
        outline = self._outline
        stands = None if outline is None else outline.name(record.head_seq)
        if record.head_seq in self._last:
            stands = self._last[record.head_seq]
        stood = fields.get("current_node")
        names = [self._name(seq) for seq in self._outline.nodes] if self._outline else []
        if not imported or stood in names or self._is_ours(record.head_seq):
            fields["current_node"] = stands or fields.get("current_node")
        if record.title_source == "user":
            fields["title"] = record.title
        if bool(record.archived_at_ms) != (fields.get("is_archived") is True):
            fields["is_archived"] = bool(record.archived_at_ms)

    def _told_elsewhere(self, record: ConversationRecord, *, imported: bool) -> None:
        if not imported:
            self.losses.add("keys, tags, folders, settings and metadata", bool(_beyond(record)))

    def _name(self, seq: int) -> str:
        return (self._outline.name(seq) if self._outline else None) or ""

    def _is_ours(self, seq: int | None) -> bool:
        """Tell whether a message was made here, and so is none that an imported node names."""
        node = self._outline.nodes.get(seq) if self._outline and seq is not None else None
        return node is not None and node.source_id is None

    def _ours_below(self, seq: int) -> list[int]:
        return [child for child in self._below.get(seq, ()) if self._is_ours(child)]

    def _nodes(self, value: Message) -> list[dict[str, Any]]:
        name = self._name(value.seq)
        above = value.parent_seq
        parent = self._root if above is None else self._last.get(above) or self._name(above)
        nodes = []
        contents = self._contents(value)
        for at, content in enumerate(contents):
            id_ = name if not at else f"{name}-{at}"
            nodes.append(_node(id_, parent or self._root, value, content))
            if at:
                nodes[-2]["children"] = [id_]
                nodes[-2]["message"]["end_turn"] = False
            parent = id_
        if len(nodes) > 1:
            self._last[value.seq] = nodes[-1]["id"]
        nodes[-1]["children"] = [self._name(seq) for seq in self._below.get(value.seq, ())]
        return nodes

    def _contents(self, value: Message) -> list[dict[str, Any]]:
        """Return what each node says: author, recipient and content; texts side by side are one."""
        if value.error is not None:
            self.losses.add("errors that ended an answer")
        contents: list[dict[str, Any]] = []
        for part in value.parts or (TextPart(value.text),):
            if isinstance(part, AttachmentPart):
                self.losses.add("attachments (their names are told)")
                _text_of(contents)["attachments"].append(_attachment(part))
            elif isinstance(part, TextPart):
                _text_of(contents)["content"]["parts"].append(part.text)
            elif (content := self._other(part)) is not None:
                contents.append(content)
        said = contents or [_text_of(contents)]
        for one in said:
            if one["content"].get("parts") == []:
                one["content"]["parts"].append("")
        return contents

    def _other(self, part: Part) -> dict[str, Any] | None:
        match part:
            case ReasoningPart():
                thought = {"summary": "", "content": part.text, "chunks": [], "finished": True}
                return {"content": {"content_type": "thoughts", "thoughts": [thought]}}
            case ToolCallPart():
                self.losses.add("ids of tool calls")
                said = {"content_type": "code", "language": "unknown", "text": part.args}
                return {"content": said, "recipient": part.name or "tool"}
            case ToolResultPart():
                said = {"content_type": "execution_output", "text": part.content}
                return {"content": said, "role": "tool", "name": part.name or None}
            case OpaquePart(data=dict() as data) if "content_type" in data:
                return {"content": data}
        self.losses.add("parts of unknown kinds")
        return None


def _text_of(contents: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the text that is being said, begun where another kind of content ended."""
    if not contents or contents[-1]["content"].get("content_type") != "text":
        contents.append({"content": {"content_type": "text", "parts": []}, "attachments": []})
    return contents[-1]


def _node(id_: str, parent: str, value: Message, said: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if value.model:
        metadata["model_slug"] = value.model
    if value.finish_reason:
        metadata["finish_details"] = {"type": value.finish_reason}
    if said.get("attachments"):
        metadata["attachments"] = said["attachments"]
    message = {
        "id": id_,
        "author": {
            "role": said.get("role", value.role),
            "name": said.get("name", value.author),
            "metadata": {},
        },
        "create_time": seconds(value.created_at_ms or None),
        "update_time": seconds(value.finished_at_ms),
        "content": said["content"],
        "status": _STATUSES[value.status],
        "end_turn": True if value.role == "assistant" else None,
        "weight": 1.0,
        "metadata": metadata,
        "recipient": said.get("recipient", "all"),
        "channel": None,
    }
    return {"id": id_, "message": message, "parent": parent, "children": []}


def _attachment(part: AttachmentPart) -> dict[str, Any]:
    return {
        "id": part.sha256,
        "name": part.name,
        "mime_type": part.media_type,
        "size": part.size,
    }


def _append(node: dict[str, Any], names: list[Any]) -> dict[str, Any]:
    """Let a node name more children; one that names none at all is left so."""
    if isinstance(node, dict) and isinstance(node.get("children"), list):
        node["children"] += [name for name in names if name not in node["children"]]
    return node


def _root_of(bare: dict[str, Any]) -> str:
    for id_, node in bare.items():
        if isinstance(node, dict) and node.get("parent") is None:
            return id_
    return _ROOT


def _beyond(record: ConversationRecord) -> bool:
    """Tell whether something is known of the conversation for which there is no place there."""
    return any((record.key, record.tags, record.folder, record.settings, record.metadata))


def _fields(record: ConversationRecord) -> dict[str, Any]:
    return {
        "title": record.title,
        "create_time": seconds(record.created_at_ms),
        "update_time": seconds(record.updated_at_ms),
        "moderation_results": [],
        "current_node": None,
        "plugin_ids": None,
        "conversation_id": record.id,
        "conversation_template_id": None,
        "gizmo_id": None,
        "is_archived": bool(record.archived_at_ms),
        "is_starred": None,
        "pinned_time": seconds(record.updated_at_ms) if record.pinned else None,
        "safe_urls": [],
        "default_model_slug": record.model,
        "id": record.id,
    }
