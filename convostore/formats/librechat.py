"""LibreChat's export: a flat list of messages with parents, or the same nested in `children`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.foreign import (
    HEAD_GUESSED,
    ForeignConversation,
    ForeignMessage,
    in_order,
    iso_ms,
    known,
    newest_end,
    refused,
)
from convostore.parts import OpaquePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.records import Status

SOURCE: Final = "librechat"
ROOT: Final = "00000000-0000-0000-0000-000000000000"  # the parent of a first message
_LISTS: Final = ("messages", "messagesTree")  # newer exports nest under the second name


def is_one(value: object) -> bool:
    """Tell whether a parsed value is a conversation of this format."""
    return (
        isinstance(value, dict)
        and "conversationId" in value
        and any(isinstance(value.get(name), list) for name in _LISTS)
    )


def read(value: dict[str, Any]) -> ForeignConversation:
    """Return a conversation of an export. It has no times of its own: they are its messages'.

    Raises:
        FormatError: it has no id, or no list of messages, or a message without an id.
    """
    source_id = known(value.get("conversationId"), str)
    if not source_id:
        raise refused(SOURCE, "the conversation has no id")
    if not is_one(value):
        raise refused(SOURCE, "the conversation has no list of messages")
    flat = list(_flat(value))
    found = [_message(one, parent) for one, parent in flat]
    messages, remarks = in_order(found)
    times = [one.created_at_ms for one in messages if one.created_at_ms is not None]
    if len({one.parent for one in messages}) < len(messages):
        remarks.append(HEAD_GUESSED)
    options = known(value.get("options"), dict) or {}
    order = [one.get("messageId") for one, _ in flat]
    bare = {name: order if name in _LISTS else kept for name, kept in value.items()}
    return ForeignConversation(
        source=SOURCE,
        source_id=source_id,
        messages=messages,
        head=newest_end(messages),
        title=known(value.get("title"), str),
        model=known(options.get("model"), str) or None,
        created_at_ms=min(times, default=None),
        updated_at_ms=max(times, default=None),
        remarks=tuple(remarks),
        raw=msgspec.json.encode(bare),
    )


def _flat(value: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Yield each message and the id of the one it is nested in, as they stand; nothing recurses."""
    ahead: list[tuple[Any, str | None]] = [
        (one, None) for name in _LISTS if isinstance(value.get(name), list) for one in value[name]
    ]
    ahead.reverse()
    while ahead:
        one, parent = ahead.pop()
        if not isinstance(one, dict):
            continue
        yield one, parent
        id_ = known(one.get("messageId"), str)
        ahead += [(below, id_) for below in reversed(known(one.get("children"), list) or [])]


def _message(one: dict[str, Any], nested_in: str | None) -> ForeignMessage:
    id_ = known(one.get("messageId"), str)
    if not id_:
        raise refused(SOURCE, "one of its messages has no id")
    parent = known(one.get("parentMessageId"), str) or nested_in
    by_user = one.get("isCreatedByUser") is True
    sender = known(one.get("sender"), str)
    return ForeignMessage(
        source_id=id_,
        parent=None if parent == ROOT else parent,
        role="user" if by_user else "assistant",
        author=None if by_user else sender,
        parts=(*_content(one), *_files(one)),
        status=_status(one),
        model=None if by_user else known(one.get("model"), str),
        finish_reason=known(one.get("finish_reason"), str),
        created_at_ms=iso_ms(one.get("createdAt")),
        raw=msgspec.json.encode({name: kept for name, kept in one.items() if name != "children"}),
    )


def _status(one: dict[str, Any]) -> Status:
    if one.get("error") is True:
        return "failed"
    return "interrupted" if one.get("unfinished") is True else "completed"


def _content(one: dict[str, Any]) -> list[Part]:
    """Return the typed pieces of an agent's answer, where there are any; else the text."""
    pieces = known(one.get("content"), list)
    if pieces:
        return [part for piece in pieces for part in _piece(piece)]
    text = known(one.get("text"), str)
    return [TextPart(text)] if text else []


def _piece(piece: object) -> list[Part]:
    if not isinstance(piece, dict):
        return [OpaquePart("piece", piece)]
    kind = str(piece.get("type") or "piece")
    said = piece.get(kind)
    text = said.get("value") if isinstance(said, dict) else said
    match kind:
        case "text" if isinstance(text, str):
            return [TextPart(text)] if text else []
        case "think" if isinstance(text, str):
            return [ReasoningPart(text)] if text else []
        case "tool_call" if isinstance(said, dict):
            id_, name = str(said.get("id") or ""), str(said.get("name") or "")
            parts: list[Part] = [ToolCallPart(id_, name, _text(said.get("args")))]
            if said.get("output") is not None:
                parts.append(ToolResultPart(id_, name, _text(said["output"])))
            return parts
    return [OpaquePart(kind, piece)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _files(one: dict[str, Any]) -> list[Part]:
    kept = [*(known(one.get("files"), list) or []), *(known(one.get("attachments"), list) or [])]
    return [OpaquePart("file", file) for file in kept]
