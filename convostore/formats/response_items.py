"""Items as OpenAI's Responses interface has them: what a model said, thought, called and was told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.framed import framed, same, storable, unframed
from convostore.ids import new_id
from convostore.parts import OpaquePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from convostore.records import Message

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


def items_of(message: Message) -> list[dict[str, Any]]:
    """Return a message of any origin as items: what it says, calls and was told, in order.

    Reasoning is left out: what does not come from the model itself with its own ids is refused there.
    """
    items: list[dict[str, Any]] = []
    said: list[str] = []

    def say() -> None:
        if said:
            items.append(_said(message.role, "".join(said)))
            said.clear()

    for part in message.parts or (TextPart(message.text),):
        match part:
            case TextPart(text) if text:
                said.append(text)
            case ToolCallPart():
                say()
                call = {"call_id": part.id, "name": part.name, "arguments": part.args}
                items.append({"type": "function_call", **call})
            case ToolResultPart():
                say()
                answer = {"call_id": part.id, "output": part.content}
                items.append({"type": "function_call_output", **answer})
    say()
    return items


def message_of(item: Any) -> Message:
    """Return an item as a message to be stored; nothing of the item is lost.

    Raises:
        InvalidTextError: it is no JSON.
    """
    role = role_of(item)
    parts = storable(parts_of(item))
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    message = Message(role=role, text=text, id=new_id(), parts=tuple(parts))
    if [item] == (told := items_of(message)) and same(item, told[0]):
        return message
    return msgspec.structs.replace(message, parts=(*parts, framed(item, parts)))


def items_as_stored(message: Message) -> list[Any]:
    """Return the item that became a message, as it was; of any other message what `items_of` says."""
    try:
        return [unframed(message.parts)]
    except LookupError:
        return list(items_of(message))


def texts(content: object) -> str:
    """Return the joined texts of a list of typed pieces."""
    pieces = content if isinstance(content, list) else []
    found = [one.get("text") for one in pieces if isinstance(one, dict)]
    return "".join(text for text in found if isinstance(text, str))


def as_text(value: object) -> str:
    """Return a text as it is, and everything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, OverflowError, TypeError, RecursionError):
        return repr(value)


def _said(role: Role, text: str) -> dict[str, Any]:
    if role == "assistant":
        return {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }
    return {"role": "user" if role == "tool" else role, "content": text}


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
