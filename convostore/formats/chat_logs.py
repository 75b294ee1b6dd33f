"""WildChat's and LMSYS's rows: conversations that were collected, one a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.foreign import ForeignConversation, ForeignMessage, iso_ms, known, refused
from convostore.formats.openai_chat import content_id
from convostore.parts import OpaquePart, Part, TextPart

if TYPE_CHECKING:
    from convostore.records import Role

SOURCE: Final = "chat-logs"
_ROLES: Final[dict[str, Role]] = {"user": "user", "assistant": "assistant", "system": "system"}
_IDS: Final = ("conversation_hash", "conversation_id")


def is_one(value: object) -> bool:
    """Tell whether a parsed value is a row of this format."""
    return (
        isinstance(value, dict)
        and any(name in value for name in _IDS)
        and isinstance(value.get("conversation"), list)
        and all(isinstance(one, dict) and "role" in one for one in value["conversation"])
    )


def read(value: dict[str, Any]) -> ForeignConversation:
    """Return a row as a conversation.

    Its id there may be a hash of the content, which several rows share; with the rest of the row
    it is one of its own.

    Raises:
        FormatError: it is no such row.
    """
    if not is_one(value):
        raise refused(SOURCE, "the row has no conversation, or no id")
    messages = [
        _message(str(at), str(at - 1) if at > 1 else None, one)
        for at, one in enumerate(value["conversation"], 1)
    ]
    model = known(value.get("model"), str)
    return ForeignConversation(
        source=SOURCE,
        source_id=content_id(value),
        messages=tuple(
            msgspec.structs.replace(one, model=model) if one.role == "assistant" else one
            for one in messages
        ),
        head=messages[-1].source_id if messages else None,
        model=model,
        updated_at_ms=iso_ms(value.get("timestamp")),
        raw=msgspec.json.encode({k: kept for k, kept in value.items() if k != "conversation"}),
    )


def _message(id_: str, parent: str | None, one: dict[str, Any]) -> ForeignMessage:
    role_there = known(one.get("role"), str) or ""
    content = one.get("content")
    parts: tuple[Part, ...] = ()
    if isinstance(content, str):
        parts = (TextPart(content),) if content else ()
    elif content is not None:
        parts = (OpaquePart("content", content),)
    return ForeignMessage(
        source_id=id_,
        parent=parent,
        role=_ROLES.get(role_there, "tool"),
        author=None if role_there in _ROLES else role_there or None,
        parts=parts,
        created_at_ms=iso_ms(one.get("timestamp")),
        raw=msgspec.json.encode(one),
    )
