"""Messages of pydantic-ai, as its own type adapter writes them: requests and responses, of parts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from convostore.formats.framed import framed, storable, unframed
from convostore.ids import new_id
from convostore.parts import OpaquePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from convostore.records import Message

if TYPE_CHECKING:
    from convostore.records import Role

_CALLS: Final = frozenset({"tool-call", "builtin-tool-call"})
_ANSWERS: Final = frozenset({"tool-return", "builtin-tool-return", "retry-prompt"})


def message_of(value: dict[str, Any]) -> Message:
    """Return a message as one to be stored; nothing of it is lost.

    Raises:
        InvalidTextError: it is no JSON, or too deep.
    """
    pieces = [one for one in value.get("parts") or () if isinstance(one, dict)]
    parts = storable([part for piece in pieces for part in _parts(piece)])
    return Message(
        role=_role(value, pieces),
        text="".join(part.text for part in parts if isinstance(part, TextPart)),
        id=new_id(),
        model=_name(value.get("model_name")),
        parts=(*parts, framed(value, parts)),
    )


def messages_as_stored(message: Message) -> list[dict[str, Any]]:
    """Return what became a message, as it was; of a message of another origin what it says."""
    try:
        value = unframed(message.parts)
    except LookupError:
        return _messages_of(message)
    return [value]


def _role(value: dict[str, Any], pieces: list[dict[str, Any]]) -> Role:
    """Return whose a message is: a request may hold a system text, a question and tools' answers."""
    if value.get("kind") == "response":
        return "assistant"
    kinds = {piece.get("part_kind") for piece in pieces}
    if "user-prompt" in kinds:
        return "user"
    if kinds & _ANSWERS:
        return "tool"
    return "system" if "system-prompt" in kinds else "user"


def _parts(piece: dict[str, Any]) -> list[Part]:
    kind, content = piece.get("part_kind"), piece.get("content")
    if kind in {"user-prompt", "text"}:
        return _said(content)
    if kind == "thinking":
        return [ReasoningPart(content)] if isinstance(content, str) and content else []
    name, id_ = str(piece.get("tool_name") or ""), str(piece.get("tool_call_id") or "")
    if kind in _CALLS:
        args = piece.get("args")
        return [ToolCallPart(id_, name, "" if args is None else as_written(args))]
    if kind in _ANSWERS and id_:
        return [ToolResultPart(id_, name, as_written(content))]
    return [OpaquePart(str(kind or "part"), piece)]


def _said(content: object) -> list[Part]:
    if isinstance(content, str):
        return [TextPart(content)] if content else []
    parts: list[Part] = []
    for piece in content if isinstance(content, list) else [content]:
        text = piece.get("content") if isinstance(piece, dict) else piece
        kind = str(piece.get("kind") or "piece") if isinstance(piece, dict) else "text"
        if kind in {"text", "text-content"} and isinstance(text, str):
            parts += [TextPart(text)] if text else []
        elif piece is not None:
            parts.append(OpaquePart(kind, piece))
    return parts


def as_written(value: object) -> str:
    """Return a text as it is, and everything else as JSON with its keys in their order."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _messages_of(message: Message) -> list[dict[str, Any]]:
    parts = message.parts or (TextPart(message.text),)
    pieces = [piece for part in parts if (piece := _piece(message.role, part))]
    answers = [piece for piece in pieces if piece["part_kind"] == "tool-return"]
    said = [piece for piece in pieces if piece["part_kind"] != "tool-return"]
    kind = "response" if message.role == "assistant" else "request"
    told: list[dict[str, Any]] = [{"kind": kind, "parts": said}] if said else []
    if kind == "response" and told and message.model:
        told[0]["model_name"] = message.model
    return [*told, {"kind": "request", "parts": answers}] if answers else told


def _piece(role: Role, part: Part) -> dict[str, Any] | None:
    match part:
        case TextPart(text) if text:
            kinds = {"assistant": "text", "system": "system-prompt"}
            return {"part_kind": kinds.get(role, "user-prompt"), "content": text}
        case ToolCallPart() if role == "assistant":
            called = {"tool_name": part.name, "tool_call_id": part.id, "args": part.args}
            return {"part_kind": "tool-call", **called}
        case ToolResultPart():
            answer = {"tool_name": part.name, "tool_call_id": part.id, "content": part.content}
            return {"part_kind": "tool-return", **answer}
    return None


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and value and value.isprintable() else None
