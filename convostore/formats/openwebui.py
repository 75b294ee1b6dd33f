"""Open WebUI's export: rows whose inner chat has a history of messages by id."""

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
    whole_ms,
)
from convostore.formats.response_items import parts_of
from convostore.parts import OpaquePart, Part, TextPart

if TYPE_CHECKING:
    from convostore.records import Role

SOURCE: Final = "openwebui"
_ROLES: Final[dict[str, Role]] = {"user": "user", "assistant": "assistant", "system": "system"}
_IN_MS: Final = (
    10**11
)  # from here on a time in this format is in milliseconds: its programs mix both


def is_one(value: object) -> bool:
    """Tell whether a parsed value is a conversation of this format, in a row or bare."""
    return isinstance(value, dict) and _history(value) is not None


def read(value: dict[str, Any]) -> ForeignConversation:
    """Return a conversation of an export.

    Raises:
        FormatError: it has no history, or no id.
    """
    history = _history(value)
    if history is None:
        raise refused(SOURCE, "the conversation has no history of messages")
    chat = known(value.get("chat"), dict) or value
    source_id = known(value.get("id"), str) or known(chat.get("id"), str)
    if not source_id:
        raise refused(SOURCE, "the conversation has no id")
    found = {id_: one for id_, one in history["messages"].items() if isinstance(one, dict)}
    messages, remarks = in_order([_message(id_, one) for id_, one in found.items()])
    head = head_of(messages, history.get("currentId"), remarks)
    models = known(chat.get("models"), list) or []
    return ForeignConversation(
        source=SOURCE,
        source_id=source_id,
        messages=messages,
        head=head,
        title=known(value.get("title"), str) or known(chat.get("title"), str),
        model=next((one for one in models if isinstance(one, str) and one), None),
        created_at_ms=_time_ms(value.get("created_at")) or _time_ms(chat.get("timestamp")),
        updated_at_ms=_time_ms(value.get("updated_at")),
        pinned=value.get("pinned") is True,
        archived=value.get("archived") is True,
        folder=known(value.get("folder_id"), str),
        tags=_tags(value, chat),
        remarks=tuple(remarks),
        raw=_raw(value, chat, history),
    )


def _history(value: dict[str, Any]) -> dict[str, Any] | None:
    chat = known(value.get("chat"), dict) or value
    history = known(chat.get("history"), dict)
    return history if history and isinstance(history.get("messages"), dict) else None


def _raw(value: dict[str, Any], chat: dict[str, Any], history: dict[str, Any]) -> bytes:
    """Return all that stands beside the messages: of those 0 each, of what is none [it]."""
    marks = {id_: 0 if isinstance(v, dict) else [v] for id_, v in history["messages"].items()}
    bare = {**chat, "history": {**history, "messages": marks}}
    return msgspec.json.encode(bare if chat is value else {**value, "chat": bare})


def is_kept(value: object) -> bool:
    """Tell whether a value has the form of what is kept of a conversation beside its messages."""
    history = _history(value) if isinstance(value, dict) else None
    return history is not None and [] not in history["messages"].values()


def _tags(value: dict[str, Any], chat: dict[str, Any]) -> tuple[str, ...]:
    meta = known(value.get("meta"), dict) or {}
    found = known(meta.get("tags"), list) or known(chat.get("tags"), list) or []
    return tuple(dict.fromkeys(one for one in found if isinstance(one, str) and one))


def _time_ms(number: object) -> int | None:
    """Return a time in milliseconds, which this format has in seconds or in milliseconds."""
    if isinstance(number, int | float) and not isinstance(number, bool) and abs(number) >= _IN_MS:
        return whole_ms(number)
    return time_ms(number)


def _message(id_: str, one: dict[str, Any]) -> ForeignMessage:
    role_there = known(one.get("role"), str) or ""
    failed = bool(one.get("error"))
    return ForeignMessage(
        source_id=id_,
        parent=known(one.get("parentId"), str),
        role=_ROLES.get(role_there, "tool"),
        author=None if role_there in _ROLES else role_there or None,
        parts=(
            *_content(one),
            *(OpaquePart("file", f) for f in known(one.get("files"), list) or []),
        ),
        status="failed" if failed else "interrupted" if one.get("done") is False else "completed",
        model=known(one.get("model"), str),
        created_at_ms=_time_ms(one.get("timestamp")),
        raw=msgspec.json.encode(one),
    )


def _content(one: dict[str, Any]) -> list[Part]:
    """Return the items of the answer, which are better where there are any; else the content."""
    output = known(one.get("output"), list)
    if output:
        return [part for item in output for part in parts_of(item)]
    content = one.get("content")
    if isinstance(content, str):
        return [TextPart(content)] if content else []
    return [OpaquePart("content", content)] if content is not None else []
