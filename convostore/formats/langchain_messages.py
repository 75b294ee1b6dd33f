"""Messages of LangChain, as `message_to_dict` writes them: a type word, and data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from convostore.formats.framed import framed, storable, unframed
from convostore.formats.pydantic_messages import as_written
from convostore.ids import new_id
from convostore.parts import OpaquePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from convostore.records import Message

if TYPE_CHECKING:
    from convostore.records import Role

_ROLES: Final[dict[str, Role]] = {
    "human": "user",
    "HumanMessageChunk": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "SystemMessageChunk": "system",
}
_SPOKEN: Final[dict[str, Role]] = {  # of a message that names its role itself
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "system": "system",
    "developer": "system",
}
_TYPES: Final = {"user": "human", "assistant": "ai", "system": "system", "tool": "human"}


def message_of(value: dict[str, Any]) -> Message:
    """Return a message as one to be stored; nothing of it is lost.

    Raises:
        InvalidTextError: it is no JSON, or too deep.
    """
    data = value["data"]
    parts = storable(_parts(data))
    name = data.get("name")
    return Message(
        role=_role(str(value["type"]), data),
        text="".join(part.text for part in parts if isinstance(part, TextPart)),
        id=new_id(),
        author=name if isinstance(name, str) and name and name.isprintable() else None,
        parts=(*parts, framed(value, parts)),
    )


def messages_as_stored(message: Message) -> list[dict[str, Any]]:
    """Return what became a message, as it was; of a message of another origin what it says."""
    try:
        value = unframed(message.parts)
    except LookupError:
        return _messages_of(message)
    return [value]


def _role(type_: str, data: dict[str, Any]) -> Role:
    spoken = _SPOKEN.get(str(data.get("role") or "").lower())
    return spoken or _ROLES.get(type_, "tool")


def _parts(data: dict[str, Any]) -> list[Part]:
    said = [part for piece in _pieces(data.get("content")) for part in _part(piece)]
    if data.get("tool_call_id"):  # an answer
        text = "".join(part.text for part in said if isinstance(part, TextPart))
        rest = [part for part in said if not isinstance(part, TextPart)]
        answer = ToolResultPart(str(data["tool_call_id"]), str(data.get("name") or ""), text)
        return [answer, *rest]
    return said + [_call(call) for call in data.get("tool_calls") or ()]


def _pieces(content: object) -> list[Any]:
    return content if isinstance(content, list) else [content]


def _part(piece: Any) -> list[Part]:
    if piece is None or piece == "":
        return []
    if isinstance(piece, str):
        return [TextPart(piece)]
    kind = str(piece.get("type") or "piece") if isinstance(piece, dict) else "piece"
    if kind in {"tool_use", "tool_call"}:
        return []  # it stands among the message's tool calls
    for name, made in (
        ("text", TextPart),
        ("reasoning", ReasoningPart),
        ("thinking", ReasoningPart),
    ):
        text = piece.get(name) if kind == name else None
        if isinstance(text, str):
            return [made(text)] if text else []
    return [OpaquePart(kind, piece)]


def _call(call: Any) -> Part:
    if not isinstance(call, dict):
        return OpaquePart("tool_call", call)
    id_, name = str(call.get("id") or ""), str(call.get("name") or "")
    return ToolCallPart(id_, name, as_written(call.get("args")))


def _messages_of(message: Message) -> list[dict[str, Any]]:
    parts = message.parts or (TextPart(message.text),)
    calls = [_called(part) for part in parts if isinstance(part, ToolCallPart)]
    told: list[dict[str, Any]] = []
    if message.text or calls:
        data: dict[str, Any] = {"content": message.text}
        if message.author:
            data["name"] = message.author
        if calls and message.role == "assistant":
            data["tool_calls"] = calls
        told.append({"type": _TYPES[message.role], "data": data})
    for part in parts:
        if isinstance(part, ToolResultPart):
            answer = {"content": part.content, "tool_call_id": part.id, "name": part.name or None}
            told.append({"type": "tool", "data": answer})
    return told


def _called(part: ToolCallPart) -> dict[str, Any]:
    return {"name": part.name, "args": _args(part.args), "id": part.id, "type": "tool_call"}


def _args(text: str) -> dict[str, Any]:
    try:
        args = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {"arguments": text}
    return args if isinstance(args, dict) else {"arguments": args}
