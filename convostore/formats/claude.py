"""Claude's export: messages of blocks, in the official form, and as the web interface has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.foreign import (
    ForeignConversation,
    ForeignMessage,
    head_of,
    in_order,
    iso_ms,
    known,
    refused,
)
from convostore.parts import (
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

if TYPE_CHECKING:
    from convostore.records import Role

SOURCE: Final = "claude"
ROOT: Final = "00000000-0000-4000-8000-000000000000"  # the parent of a first message
_ROLES: Final[dict[str, Role]] = {"human": "user", "assistant": "assistant"}


def is_one(value: object) -> bool:
    """Tell whether a parsed value is a conversation of this format."""
    return isinstance(value, dict) and "chat_messages" in value


def read(value: dict[str, Any]) -> ForeignConversation:
    """Return a conversation of an export.

    Raises:
        FormatError: it has no messages to read, or no id, or a message without an id.
    """
    source_id, found = known(value.get("uuid"), str), value.get("chat_messages")
    if not source_id:
        raise refused(SOURCE, "the conversation has no id")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise refused(SOURCE, "its chat_messages are no list of messages")
    messages, remarks = in_order(_messages(found))
    head = head_of(messages, value.get("current_leaf_message_uuid"), remarks)
    return ForeignConversation(
        source=SOURCE,
        source_id=source_id,
        messages=messages,
        head=head,
        title=known(value.get("name"), str),
        model=known(value.get("model"), str),
        created_at_ms=iso_ms(value.get("created_at")),
        updated_at_ms=iso_ms(value.get("updated_at")),
        folder=_project(value),
        tags=("starred",) if value.get("is_starred") is True else (),
        remarks=tuple(remarks),
        raw=_raw(value, found),
    )


def _raw(value: dict[str, Any], found: list[dict[str, Any]]) -> bytes:
    """Return all that stands beside the messages, and their order."""
    return msgspec.json.encode({**value, "chat_messages": [one["uuid"] for one in found]})


def is_kept(value: object) -> bool:
    """Tell whether a value has the form of what is kept of a conversation beside its messages."""
    order = value.get("chat_messages") if isinstance(value, dict) else None
    return isinstance(order, list) and all(isinstance(id_, str) for id_ in order)


def _project(value: dict[str, Any]) -> str | None:
    project = known(value.get("project"), dict) or {}
    name: str | None = known(project.get("name"), str) or known(value.get("project_uuid"), str)
    return name


def _messages(found: list[dict[str, Any]]) -> list[ForeignMessage]:
    """Return the messages; without any parent in the file each follows the one before it."""
    linear = not any("parent_message_uuid" in one for one in found)
    before: str | None = None
    messages = []
    for one in found:
        id_ = known(one.get("uuid"), str)
        if not id_:
            raise refused(SOURCE, "one of its messages has no id")
        parent = before if linear else known(one.get("parent_message_uuid"), str)
        messages.append(_message(id_, None if parent == ROOT else parent, one))
        before = id_
    return messages


def _message(id_: str, parent: str | None, one: dict[str, Any]) -> ForeignMessage:
    sender = known(one.get("sender"), str) or ""
    return ForeignMessage(
        source_id=id_,
        parent=parent,
        role=_ROLES.get(sender, "tool"),
        author=None if sender in _ROLES else sender or None,
        parts=(*_content(one), *_attached(one)),
        status="stopped" if one.get("stop_reason") == "user_canceled" else "completed",
        finish_reason=known(one.get("stop_reason"), str),
        created_at_ms=iso_ms(one.get("created_at")),
        raw=msgspec.json.encode(one),
    )


def _content(one: dict[str, Any]) -> list[Part]:
    """Return the blocks, which count where there are any; else the flattened text."""
    blocks = known(one.get("content"), list)
    if blocks:
        return [part for block in blocks for part in _block(block)]
    text = known(one.get("text"), str)
    return [TextPart(text)] if text else []


def _block(block: object) -> list[Part]:
    if not isinstance(block, dict):
        return [OpaquePart("block", block)]
    kind = block.get("type")
    said = {"text": "text", "thinking": "thinking", "voice_note": "transcript"}.get(str(kind), "")
    text = block.get(said) or (block.get("text") if kind == "voice_note" else None)
    match kind:
        case "text" | "voice_note" if isinstance(text, str):
            return [TextPart(text)]
        case "thinking" if isinstance(text, str):
            return [ReasoningPart(text)]
        case "tool_use":
            args = msgspec.json.encode(block.get("input")).decode()
            return [ToolCallPart(str(block.get("id") or ""), str(block.get("name") or ""), args)]
        case "tool_result":
            id_, name = str(block.get("tool_use_id") or ""), str(block.get("name") or "")
            return [ToolResultPart(id_, name, _result(block.get("content")))]
    return [] if said and not text else [OpaquePart(str(kind or "block"), block)]


def _result(content: object) -> str:
    """Return a tool's answer as text: what of it is none, as JSON."""
    if isinstance(content, str):
        return content
    items = content if isinstance(content, list) else [content]
    texts = [
        one["text"]
        if isinstance(one, dict) and isinstance(one.get("text"), str)
        else msgspec.json.encode(one).decode()
        for one in items
        if one is not None
    ]
    return "\n".join(texts)


def _attached(one: dict[str, Any]) -> list[Part]:
    """Return what was pasted, whose text lives nowhere else, and the names of files."""
    parts: list[Part] = []
    for pasted in known(one.get("attachments"), list) or []:
        text = pasted.get("extracted_content") if isinstance(pasted, dict) else None
        if isinstance(text, str) and text:
            parts.append(TextPart(f"\n\n{text}"))
        else:
            parts.append(OpaquePart("attachment", pasted))
    parts += [OpaquePart("file", file) for file in known(one.get("files"), list) or []]
    return parts
