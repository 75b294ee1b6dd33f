"""Items as OpenAI's Responses interface has them: what a model said, thought, called and was told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.parts import OpaquePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart

if TYPE_CHECKING:
    from convostore.records import Role

_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
}
_TEXTS: Final = frozenset({"text", "input_text", "output_text", "summary_text", "reasoning_text"})


def parts_of(item: object) -> list[Part]:
    """Return an item as parts of ours; what has no kind of ours is kept whole."""
    if not isinstance(item, dict):
        return [OpaquePart("item", item)]
    match item.get("type", "message" if "role" in item else None):
        case "message":
            return _message(item.get("content"))
        case "reasoning":
            text = texts(item.get("summary")) or texts(item.get("content"))
            return [ReasoningPart(text)] if text else []
        case "function_call":
            id_ = str(item.get("call_id") or item.get("id") or "")
            return [ToolCallPart(id_, str(item.get("name") or ""), as_text(item.get("arguments")))]
        case "function_call_output":
            output = item.get("output")
            said = texts(output) or as_text(output)
            return [ToolResultPart(str(item.get("call_id") or ""), "", said)]
    return [OpaquePart(str(item.get("type") or "item"), item)]


def role_of(item: object) -> Role:
    """Return whose an item is."""
    if not isinstance(item, dict):
        return "tool"
    role = item.get("role")
    if isinstance(role, str):
        return _ROLES.get(role, "tool")
    return "tool" if str(item.get("type")).endswith("_output") else "assistant"


def texts(content: object) -> str:
    """Return the joined texts of a list of typed pieces."""
    pieces = content if isinstance(content, list) else []
    found = [one.get("text") for one in pieces if isinstance(one, dict)]
    return "".join(text for text in found if isinstance(text, str))


def as_text(value: object) -> str:
    """Return a text as it is, and everything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _message(content: Any) -> list[Part]:
    if isinstance(content, str):
        return [TextPart(content)] if content else []
    parts: list[Part] = []
    for piece in content if isinstance(content, list) else [content]:
        text = piece.get("text") if isinstance(piece, dict) else None
        kind = str(piece.get("type") or "piece") if isinstance(piece, dict) else "piece"
        if isinstance(text, str) and kind in _TEXTS:
            parts += [TextPart(text)] if text else []
        elif piece is not None:
            parts.append(OpaquePart(kind, piece))
    return parts
