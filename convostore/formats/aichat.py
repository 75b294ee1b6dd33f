"""aichat's sessions: a YAML mapping, whose older messages may have been pressed into a summary."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.foreign import ForeignConversation, ForeignMessage, known, refused
from convostore.parts import OpaquePart, Part, TextPart, ToolCallPart, ToolResultPart

if TYPE_CHECKING:
    from convostore.records import Role

SOURCE: Final = "aichat"
_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "tool": "assistant",  # it holds the calls as well as what came of them
}
_LISTS: Final = ("compressed_messages", "messages")  # in this order, of what is kept their lengths


def is_one(value: object) -> bool:
    """Tell whether a parsed value is a session of this format."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("model"), str)
        and isinstance(value.get("messages"), list)
        and all(isinstance(one, dict) and "role" in one for one in _said(value))
    )


def read(value: dict[str, Any], name: str) -> ForeignConversation:
    """Return a session, known by its name and how it began: many have one name, as `default`.

    The whole history is what was pressed into a summary, then the messages; the system message
    that holds the summary is kept as a summary, and is no turn.

    Args:
        value: the parsed mapping.
        name: of the session: its file's, without the ending.

    Raises:
        FormatError: it is no such mapping.
    """
    if not is_one(value):
        raise refused(SOURCE, "the session has no model, or no list of messages with a role each")
    older = len(known(value.get("compressed_messages"), list) or [])
    messages = [
        _message(
            str(at), str(at - 1) if at > 1 else None, one, summary=at == older + 1 and older > 0
        )
        for at, one in enumerate(_said(value), 1)
    ]
    counts = {name: len(value[name]) for name in _LISTS if isinstance(value.get(name), list)}
    return ForeignConversation(
        source=SOURCE,
        source_id=_id(name, _said(value)),
        messages=tuple(messages),
        head=messages[-1].source_id if messages else None,
        title=name,
        model=value["model"],
        raw=msgspec.json.encode({**value, **counts}),
    )


def _id(name: str, said: list[Any]) -> str:
    """Return a name with a mark of the first question, which stays as a session grows and is pressed."""
    asked = next((one for one in said if one["role"] == "user"), said[0] if said else None)
    if asked is None:
        return name
    first = msgspec.json.encode([str(asked["role"]), asked.get("content")], order="sorted")
    return f"{name}-{hashlib.sha256(first).hexdigest()[:12]}"


def _said(value: dict[str, Any]) -> list[Any]:
    return [*(known(value.get("compressed_messages"), list) or []), *value["messages"]]


def _message(id_: str, parent: str | None, one: dict[str, Any], *, summary: bool) -> ForeignMessage:
    role_there = str(one.get("role"))
    parts = _parts(one.get("content"))
    if summary and role_there == "system":
        parts = [OpaquePart("summary", one.get("content"))]
    return ForeignMessage(
        source_id=id_,
        parent=parent,
        role=_ROLES.get(role_there, "tool"),
        author=None if role_there in _ROLES else role_there,
        parts=tuple(parts),
        raw=msgspec.json.encode(one),
    )


def _parts(content: object) -> list[Part]:
    if isinstance(content, str):
        return [TextPart(content)] if content else []
    if isinstance(content, dict) and isinstance(content.get("tool_results"), list):
        found = [part for result in content["tool_results"] for part in _result(result)]
        return [*found, *_parts(content.get("text"))]
    if not isinstance(content, list):
        return [OpaquePart("content", content)] if content is not None else []
    parts: list[Part] = []
    for piece in content:
        text = piece.get("text") if isinstance(piece, dict) else None
        if isinstance(text, str):
            parts.append(TextPart(text))
        else:
            kind = piece.get("type") if isinstance(piece, dict) else None
            parts.append(OpaquePart(str(kind or "piece"), piece))
    return parts


def _result(result: object) -> list[Part]:
    call = result.get("call") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(call, dict):
        return [OpaquePart("tool_result", result)]
    id_, name = str(call.get("id") or ""), str(call.get("name") or "")
    return [
        ToolCallPart(id_, name, _text(call.get("arguments"))),
        ToolResultPart(id_, name, _text(result.get("output"))),
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
