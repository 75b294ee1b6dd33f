"""g4f's chats: the command line's file, and what its web interface saves and shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.foreign import ForeignConversation, ForeignMessage, known, refused, whole_ms
from convostore.formats.openai_chat import content_id
from convostore.parts import OpaquePart, Part, ReasoningPart, TextPart

if TYPE_CHECKING:
    from convostore.records import Role

SOURCE: Final = "g4f"
_ROLES: Final[dict[str, Role]] = {"user": "user", "assistant": "assistant", "system": "system"}
_LEFT_OUT: Final = frozenset(
    {"data", "items"}  # data is what providers keep of it, and may hold their tokens
)


def is_one(value: object) -> bool:
    """Tell whether a parsed value is a conversation of this format."""
    return isinstance(value, dict) and _are_items(value.get("items"))


def read(value: dict[str, Any]) -> ForeignConversation:
    """Return a conversation; what providers keep of it is left out, for it may hold their tokens.

    Answers that follow each other are answers to the same question, but for one that goes on with
    the one before it. Without an id one is made of the content.

    Raises:
        FormatError: it has no list of items with a role each.
    """
    if not is_one(value):
        raise refused(SOURCE, "the conversation has no list of items with a role each")
    bare = {name: kept for name, kept in value.items() if name not in _LEFT_OUT}
    messages = _messages(value["items"])
    models = [one.model for one in messages if one.model]
    titles = (value.get("new_title"), value.get("title"))
    return ForeignConversation(
        source=SOURCE,
        source_id=known(value.get("id"), str) or content_id({**bare, "items": value["items"]}),
        messages=tuple(messages),
        head=messages[-1].source_id if messages else None,
        title=next((title for title in titles if isinstance(title, str) and title), None),
        model=known(value.get("model"), str) or (models[-1] if models else None),
        created_at_ms=whole_ms(value.get("added")),
        updated_at_ms=whole_ms(value.get("updated")),
        raw=msgspec.json.encode(bare),
    )


def _are_items(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and isinstance(one.get("role"), str) for one in value
    )


def _messages(items: list[dict[str, Any]]) -> list[ForeignMessage]:
    messages: list[ForeignMessage] = []
    above: str | None = None  # what an answer stands below
    for at, item in enumerate(items, 1):
        last = messages[-1] if messages else None
        answers = item["role"] == "assistant"
        if answers and item.get("continue") is True and last and last.role == "assistant":
            messages[-1] = _longer(last, item)
            continue
        follows = last.source_id if last else None
        beside = answers and last is not None and last.role == "assistant"
        message = _message(str(at), above if beside else follows, item)
        if not beside:
            above = message.parent
        messages.append(message)
    return messages


def _longer(last: ForeignMessage, item: dict[str, Any]) -> ForeignMessage:
    """Return an answer with the piece that goes on with it."""
    *before, end = last.parts or (TextPart(""),)
    more = _parts(item)
    if isinstance(end, TextPart) and more and isinstance(more[0], TextPart):
        more[0] = TextPart(end.text + more[0].text)
    else:
        before.append(end)
    return msgspec.structs.replace(
        last,
        parts=(*before, *more),
        finish_reason=_finish(item),
        raw=b"[%s,%s]" % (last.raw.removeprefix(b"[").removesuffix(b"]"), _raw(item)),
    )


def _message(id_: str, parent: str | None, item: dict[str, Any]) -> ForeignMessage:
    role_there: str = item["role"]
    provider = known(item.get("provider"), dict) or {}
    return ForeignMessage(
        source_id=id_,
        parent=parent,
        role=_ROLES.get(role_there, "tool"),
        author=None if role_there in _ROLES else role_there,
        parts=tuple(_parts(item)),
        model=known(provider.get("model"), str),
        finish_reason=_finish(item),
        raw=_raw(item),
    )


def _raw(item: dict[str, Any]) -> bytes:
    return msgspec.json.encode(item)


def _finish(item: dict[str, Any]) -> str | None:
    finish = known(item.get("finish"), dict) or {}
    reason: str | None = known(finish.get("reason"), str)
    return reason


def _parts(item: dict[str, Any]) -> list[Part]:
    parts: list[Part] = []
    reasoning = known(item.get("reasoning"), dict) or {}
    if isinstance(reasoning.get("text"), str) and reasoning["text"]:
        parts.append(ReasoningPart(reasoning["text"]))
    content = item.get("content")
    for piece in content if isinstance(content, list) else [content]:
        text = piece.get("text") if isinstance(piece, dict) else piece
        if isinstance(text, str):
            parts += [TextPart(text)] if text else []
        elif piece is not None:
            kind = "file" if isinstance(piece, dict) and "bucket_id" in piece else "piece"
            parts.append(OpaquePart(kind, piece))
    return parts
