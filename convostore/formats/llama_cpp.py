"""llama.cpp's web interface: a line that names the session, then a line for each message."""

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
    whole_ms,
)
from convostore.parts import OpaquePart, Part, ReasoningPart, TextPart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.records import Role

SOURCE: Final = "llama.cpp"
_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "tool": "tool",
}


def is_first(value: object) -> bool:
    """Tell whether a parsed line begins a conversation of this format."""
    return isinstance(value, dict) and value.get("type") == "session" and "id" in value


def read(lines: Sequence[dict[str, Any]]) -> ForeignConversation:
    """Return the conversation of a session's line and the lines after it.

    Raises:
        FormatError: the first line names no session, or a message has no id.
    """
    session = lines[0] if lines and is_first(lines[0]) else {}
    source_id = known(session.get("id"), str)
    if not source_id:
        raise refused(SOURCE, "the first line names no session")
    found = [line for line in lines[1:] if isinstance(line.get("message"), dict)]
    messages, remarks = in_order([_message(line) for line in found])
    head = head_of(messages, session.get("currNode"), remarks)
    return ForeignConversation(
        source=SOURCE,
        source_id=source_id,
        messages=messages,
        head=head,
        title=known(session.get("name"), str),
        model=next((one.model for one in reversed(messages) if one.model), None),
        created_at_ms=min((m.created_at_ms for m in messages if m.created_at_ms), default=None),
        updated_at_ms=whole_ms(session.get("lastModified")),
        pinned=session.get("pinned") is True,
        remarks=tuple(remarks),
        raw=msgspec.json.encode({**session, "order": [line["message"]["id"] for line in found]}),
    )


def _message(line: dict[str, Any]) -> ForeignMessage:
    one = line["message"]
    id_ = known(one.get("id"), str)
    if not id_:
        raise refused(SOURCE, "one of its messages has no id")
    role_there = known(one.get("role"), str) or ""
    return ForeignMessage(
        source_id=id_,
        parent=known(one.get("parent"), str) or None,
        role=_ROLES.get(role_there, "tool"),
        author=None if role_there in _ROLES else role_there or None,
        parts=tuple(_parts(one)),
        model=known(one.get("model"), str),
        created_at_ms=whole_ms(one.get("timestamp")),
        raw=msgspec.json.encode(line),
    )


def _parts(one: dict[str, Any]) -> list[Part]:
    parts: list[Part] = []
    thought = one.get("reasoningContent") or one.get("thinking")
    if isinstance(thought, str):
        parts.append(ReasoningPart(thought))
    if isinstance(one.get("content"), str) and one["content"]:
        parts.append(TextPart(one["content"]))
    extra = known(one.get("extra"), list) or []
    return [*parts, *(OpaquePart("extra", piece) for piece in extra)]
