"""ChatGPT's export: a mapping of nodes, each with its parent; whole and unfolded, slim and odd.

The fields are what exports of 2023 to 2026 hold; none of them is documented by OpenAI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.foreign import (
    ForeignConversation,
    ForeignMessage,
    head_of,
    in_order,
    known,
    refused,
    time_ms,
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
    from convostore.records import Role, Status

SOURCE: Final = "chatgpt"
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_STATUSES: Final[dict[str, Status]] = {
    "in_progress": "interrupted",
    "finished_partial_completion": "stopped",
}
_TO_ALL: Final = "all"  # a recipient that is no tool
_PROJECT: Final = "g-p-"  # how the id of a project begins


def is_one(value: object) -> bool:
    """Tell whether a parsed value is a conversation of this format."""
    return isinstance(value, dict) and "mapping" in value


def read(value: dict[str, Any]) -> ForeignConversation:
    """Return a conversation of an export.

    Raises:
        FormatError: it has no mapping, or no id.
    """
    mapping = value.get("mapping")
    source_id = known(value.get("conversation_id"), str) or known(value.get("id"), str)
    if not isinstance(mapping, dict):
        raise refused(SOURCE, "the conversation has no messages: its mapping is missing")
    if not source_id:
        raise refused(SOURCE, "the conversation has no id")
    nodes = {id_: node for id_, node in mapping.items() if isinstance(node, dict)}
    messages, remarks = in_order(_messages(nodes))
    head = head_of(messages, _with_message(nodes, value.get("current_node")), remarks)
    project = known(value.get("gizmo_id"), str) or ""
    return ForeignConversation(
        source=SOURCE,
        source_id=source_id,
        messages=messages,
        head=head,
        title=known(value.get("title"), str),
        model=known(value.get("default_model_slug"), str) or _last_model(messages),
        created_at_ms=time_ms(value.get("create_time")),
        updated_at_ms=time_ms(value.get("update_time")),
        pinned=bool(value.get("pinned_time")),
        archived=value.get("is_archived") is True,
        folder=project if project.startswith(_PROJECT) else None,
        tags=("starred",) if value.get("is_starred") is True else (),
        remarks=tuple(remarks),
        raw=_raw(value),
    )


def _raw(value: dict[str, Any]) -> bytes:
    """Return all that stands beside the messages: other keys, nodes without one, their order."""
    mapping = value["mapping"]
    bare = {
        id_: node
        for id_, node in mapping.items()
        if not (isinstance(node, dict) and _has_message(node))
    }
    order = [*mapping]
    return msgspec.json.encode({**value, "mapping": bare, "mapping_order": order})


def is_kept(value: object) -> bool:
    """Tell whether a value has the form of what is kept of a conversation beside its messages."""
    return isinstance(value, dict) and isinstance(value.get("mapping"), dict)


def _messages(nodes: dict[str, Any]) -> list[ForeignMessage]:
    above: dict[str, str | None] = {}  # of nodes without a message
    return [
        _message(id_, node, _parent(nodes, node, above))
        for id_, node in nodes.items()
        if _has_message(node)
    ]


def _has_message(node: dict[str, Any]) -> bool:
    return isinstance(node.get("message"), dict)


def _parent(
    nodes: dict[str, Any], node: dict[str, Any], above: dict[str, str | None]
) -> str | None:
    """Return the next id above a node that has a message, or that is not in the export."""
    at = known(node.get("parent"), str)
    way: dict[str, None] = {}
    while at in nodes and at not in above and at not in way and not _has_message(nodes[at]):
        way[at] = None
        at = known(nodes[at].get("parent"), str)
    found = None if at is None or at in way else above.get(at, at)
    above.update(dict.fromkeys(way, found))
    return found


def _with_message(nodes: dict[str, Any], id_: object) -> str | None:
    """Return the id of the node, or of the next one above it that has a message."""
    seen: set[str] = set()
    while isinstance(id_, str) and id_ in nodes and id_ not in seen:
        if _has_message(nodes[id_]):
            return id_
        seen.add(id_)
        id_ = nodes[id_].get("parent")
    return None


def _message(id_: str, node: dict[str, Any], parent: str | None) -> ForeignMessage:
    message = node["message"]
    author = known(message.get("author"), dict) or {}
    name = known(author.get("name"), str)
    role_there = known(author.get("role"), str) or ""
    role = _ROLES.get(role_there, "tool")
    metadata = known(message.get("metadata"), dict) or {}
    finish = known(metadata.get("finish_details"), dict) or {}
    return ForeignMessage(
        source_id=id_,
        parent=parent,
        role=role,
        author=name or (role_there if role_there not in _ROLES and role_there else None),
        parts=_parts(message, role, name, metadata),
        status=_STATUSES.get(str(message.get("status")), "completed"),
        model=known(metadata.get("model_slug"), str) if role == "assistant" else None,
        finish_reason=known(finish.get("type"), str),
        created_at_ms=time_ms(message.get("create_time")),
        raw=msgspec.json.encode(node),
    )


def _parts(
    message: dict[str, Any], role: Role, name: str | None, metadata: dict[str, Any]
) -> tuple[Part, ...]:
    content = known(message.get("content"), dict) or {}
    if metadata.get("is_visually_hidden_from_conversation") is True:
        return (OpaquePart("hidden", content),) if content else ()
    parts = _content(content, role, name)
    recipient = known(message.get("recipient"), str) or _TO_ALL
    if role == "assistant" and recipient != _TO_ALL:
        parts = [_call(part, recipient) for part in parts]
    attached = known(metadata.get("attachments"), list) or []
    return (*parts, *(OpaquePart("attachment", one) for one in attached))


def _call(part: Part, tool: str) -> Part:
    """Return what was said to a tool as a call of it."""
    return ToolCallPart(id="", name=tool, args=part.text) if isinstance(part, TextPart) else part


def _content(content: dict[str, Any], role: Role, name: str | None) -> list[Part]:
    kind = content.get("content_type")
    text = content.get("text")
    match kind:
        case "text" | "multimodal_text" if isinstance(content.get("parts"), list):
            parts = [one for part in content["parts"] for one in _part(part)]
        case "code" if isinstance(text, str):
            parts = [TextPart(text)]
        case "thoughts" if isinstance(content.get("thoughts"), list):
            parts = [one for thought in content["thoughts"] for one in _thought(thought)]
        case "reasoning_recap" if isinstance(content.get("content"), str):
            parts = [ReasoningPart(content["content"])]
        case "execution_output" | "tether_browsing_code" if isinstance(text, str):
            parts = [TextPart(text)]
        case "tether_browsing_display" if isinstance(content.get("result"), str):
            parts = [TextPart(content["result"])]
        case "system_error" if isinstance(text, str):
            parts = [TextPart(f"{content.get('name') or 'error'}: {text}")]
        case _:
            return [OpaquePart(str(kind or "unknown"), content)] if content else []
    if role == "tool":
        parts = [
            ToolResultPart(id="", name=name or "", content=part.text)
            if isinstance(part, TextPart)
            else part
            for part in parts
        ]
    return parts


def _part(part: object) -> list[Part]:
    """Return a part of a text: most are strings, one of none is nothing."""
    if isinstance(part, str):
        return [TextPart(part)] if part else []
    kind = part.get("content_type") if isinstance(part, dict) else None
    if isinstance(part, dict) and kind == "audio_transcription" and part.get("text"):
        return [TextPart(str(part["text"]))]
    return [OpaquePart(str(kind or "part"), part)]


def _thought(thought: object) -> list[Part]:
    if not isinstance(thought, dict):
        return [OpaquePart("thought", thought)]
    said = [thought.get("summary"), thought.get("content")]
    text = "\n\n".join(one for one in said if isinstance(one, str) and one)
    return [ReasoningPart(text)] if text else []


def _last_model(messages: tuple[ForeignMessage, ...]) -> str | None:
    return next((one.model for one in reversed(messages) if one.model), None)
