"""HF chat-ui's export: documents whose messages name their ancestors, or, from before, a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.foreign import (
    ForeignConversation,
    ForeignMessage,
    in_order,
    iso_ms,
    known,
    newest_end,
    refused,
)
from convostore.parts import OpaquePart, Part, ReasoningPart, TextPart

if TYPE_CHECKING:
    from convostore.records import Role

SOURCE: Final = "hf-chat-ui"
_ROLES: Final[dict[str, Role]] = {"user": "user", "assistant": "assistant", "system": "system"}


def is_one(value: object) -> bool:
    """Tell whether a parsed value is a conversation of this format."""
    return (
        isinstance(value, dict)
        and "_id" in value
        and isinstance(value.get("messages"), list)
        and all(isinstance(one, dict) and "from" in one for one in value["messages"])
    )


def read(value: dict[str, Any]) -> ForeignConversation:
    """Return a conversation of an export.

    Its list of files stands on every message there, so whose they were is lost: they are kept with
    the first message alone.

    Raises:
        FormatError: it has no id, or no list of messages, or a message without an id.
    """
    source_id = known(value.get("_id"), str)
    if not is_one(value):
        raise refused(SOURCE, "the conversation has no list of messages")
    if not source_id:
        raise refused(SOURCE, "the conversation has no id")
    messages, remarks = in_order(_messages(value["messages"]))
    if any(known(one.get("files"), list) for one in value["messages"]):
        remarks.append("which message had which file is not in the export")
    return ForeignConversation(
        source=SOURCE,
        source_id=source_id,
        messages=messages,
        head=newest_end(messages),
        title=known(value.get("title"), str),
        model=known(value.get("model"), str),
        created_at_ms=iso_ms(value.get("createdAt")),
        updated_at_ms=iso_ms(value.get("updatedAt")),
        remarks=tuple(remarks),
        raw=msgspec.json.encode(
            {**value, "messages": [one.get("id") for one in value["messages"]]}
        ),
    )


def _messages(found: list[dict[str, Any]]) -> list[ForeignMessage]:
    linear = not any("ancestors" in one for one in found)
    before: str | None = None
    messages = []
    for at, one in enumerate(found):
        id_ = known(one.get("id"), str)
        if not id_:
            raise refused(SOURCE, "one of its messages has no id")
        above = [
            above for above in known(one.get("ancestors"), list) or [] if isinstance(above, str)
        ]
        parent = before if linear else above[-1] if above else None
        messages.append(_message(id_, parent, one, first=at == 0))
        before = id_
    return messages


def _message(id_: str, parent: str | None, one: dict[str, Any], *, first: bool) -> ForeignMessage:
    speaker = known(one.get("from"), str) or ""
    route = known(one.get("routerMetadata"), dict) or {}
    parts: list[Part] = []
    if isinstance(one.get("reasoning"), str) and one["reasoning"]:
        parts.append(ReasoningPart(one["reasoning"]))
    if isinstance(one.get("content"), str) and one["content"]:
        parts.append(TextPart(one["content"]))
    if first:
        parts += [OpaquePart("file", file) for file in known(one.get("files"), list) or []]
    return ForeignMessage(
        source_id=id_,
        parent=parent,
        role=_ROLES.get(speaker, "tool"),
        author=None if speaker in _ROLES else speaker or None,
        parts=tuple(parts),
        status="stopped" if one.get("interrupted") is True else "completed",
        model=known(route.get("model"), str),
        created_at_ms=iso_ms(one.get("createdAt")),
        raw=msgspec.json.encode(one),
    )
