"""OpenAI chat rows: one conversation a line, as fine-tuning and preference files have them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.foreign import ForeignConversation, ForeignMessage, known, refused
from convostore.parts import OpaquePart, Part, TextPart, ToolCallPart, ToolResultPart

if TYPE_CHECKING:
    from convostore.records import Role

SOURCE: Final = "openai"
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_PREFERRED, _OTHER = "preferred_output", "non_preferred_output"


def is_one(value: object) -> bool:
    """Tell whether a parsed value is a row of this format: a chat, or a choice between answers."""
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("input"), dict):
        return _PREFERRED in value and _are_messages(value["input"].get("messages"))
    return _are_messages(value.get("messages"))


def read(value: dict[str, Any]) -> ForeignConversation:
    """Return a row as a conversation; it has no id, so one is made of its content.

    Of a choice between answers both stand below the same question, and it goes on at the preferred.

    Raises:
        FormatError: it is no such row.
    """
    if not is_one(value):
        raise refused(SOURCE, "the row has no list of messages with a role each")
    choice = known(value.get("input"), dict)
    said = choice["messages"] if choice is not None else value["messages"]
    messages = _line(said, None, "")
    last = messages[-1].source_id if messages else None
    preferred = _line(known(value.get(_PREFERRED), list) or [], last, "a")
    others = _line(known(value.get(_OTHER), list) or [], last, "b")
    way = preferred or messages or others
    bare = {name: kept for name, kept in value.items() if name != "messages"}
    return ForeignConversation(
        source=SOURCE,
        source_id=content_id(value),
        messages=(*messages, *preferred, *others),
        head=way[-1].source_id if way else None,
        model=known(value.get("model"), str),
        raw=msgspec.json.encode(bare),
    )


def content_id(value: object) -> str:
    """Return an id made of the content: equal rows are the same conversation."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:32]


def _are_messages(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and isinstance(one.get("role"), str) for one in value
    )


def _line(found: list[Any], parent: str | None, mark: str) -> list[ForeignMessage]:
    """Return messages that follow each other, below *parent*; their ids are their places."""
    messages = []
    for at, one in enumerate((one for one in found if isinstance(one, dict)), 1):
        id_ = f"{mark}{at}"
        messages.append(_message(id_, parent, one))
        parent = id_
    return messages


def _message(id_: str, parent: str | None, one: dict[str, Any]) -> ForeignMessage:
    role_there = known(one.get("role"), str) or ""
    role = _ROLES.get(role_there, "tool")
    name = known(one.get("name"), str)
    return ForeignMessage(
        source_id=id_,
        parent=parent,
        role=role,
        author=name or (None if role_there in _ROLES else role_there or None),
        parts=tuple(_parts(one, role, name)),
        raw=msgspec.json.encode(one),
    )


def _parts(one: dict[str, Any], role: Role, name: str | None) -> list[Part]:
    parts = _content(one.get("content"))
    if role == "tool":
        id_ = known(one.get("tool_call_id"), str) or ""
        text = "".join(part.text for part in parts if isinstance(part, TextPart))
        rest = [part for part in parts if not isinstance(part, TextPart)]
        return [ToolResultPart(id_, name or "", text), *rest]
    if isinstance(one.get("refusal"), str) and one["refusal"]:
        parts.append(TextPart(one["refusal"]))
    calls = known(one.get("tool_calls"), list) or []
    if isinstance(one.get("function_call"), dict):
        calls = [*calls, {"function": one["function_call"]}]
    return parts + [_call(call) for call in calls]


def _content(content: object) -> list[Part]:
    if isinstance(content, str):
        return [TextPart(content)] if content else []
    if content is None:
        return []
    found: list[Part] = []
    for piece in content if isinstance(content, list) else [content]:
        text = piece.get("text") if isinstance(piece, dict) else piece
        kind = piece.get("type", "text") if isinstance(piece, dict) else "text"
        if kind == "text" and isinstance(text, str):
            found.append(TextPart(text))
        else:
            found.append(OpaquePart(str(kind), piece))
    return found


def _call(call: object) -> Part:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict):
        return OpaquePart("tool_call", call)
    args = function.get("arguments")
    return ToolCallPart(
        id=str(call.get("id") or ""),
        name=str(function.get("name") or ""),
        args=args if isinstance(args, str) else msgspec.json.encode(args).decode(),
    )
