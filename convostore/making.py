"""A new conversation, of what the caller said, made fit for the store."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from convostore import clock
from convostore.ids import new_id
from convostore.storage.canonical import to_json
from convostore.storage.conversations import NewConversation
from convostore.storage.exchanges import NewMessage
from convostore.storage.ordering import refused_metadata
from convostore.text import gate, gate_expiry, gate_key, gate_name, gate_object, gate_settings

_TEXTS = ("system", "model", "provider", "anonymous_user_id")


def new_conversation(*, reuse: bool, provider: str | None, wish: dict[str, Any]) -> NewConversation:
    """Return the job that makes a conversation.

    Args:
        reuse: with a key that is taken, that conversation is meant.
        provider: the store's own, by name, where the wish names none.
        wish: the arguments of `Store.create`.

    Raises:
        InvalidTextError: a text cannot be stored, the title or key is too long, the key is empty,
            settings or metadata are no JSON object, the settings hold a key, or the metadata has more than 64 KiB.
        ValueError: it would have expired already.
    """
    for name in _TEXTS:
        if wish[name] is not None:
            gate(wish[name], f"the {name}")
    if wish["key"] is not None:
        gate_key(wish["key"])
    if wish["settings"] is not None:
        gate_settings(wish["settings"])
    if wish["metadata"] is not None:
        gate_object(wish["metadata"], "the metadata")
    if wish["metadata"] and (refused := refused_metadata(wish["metadata"])) is not None:
        raise refused
    system = wish["system"]
    return NewConversation(
        id=new_id(),
        key=wish["key"],
        reuse=reuse,
        title=_title(wish["title"]),
        provider=wish["provider"] or provider,
        model=wish["model"],
        anonymous_user_id=wish["anonymous_user_id"] or str(uuid4()),
        settings=to_json(wish["settings"]) if wish["settings"] else None,
        metadata=to_json(wish["metadata"]) if wish["metadata"] else None,
        system=NewMessage(id=new_id(), role="system", text=system) if system else None,
        now_ms=clock.now_ms(),
        expires_at_ms=gate_expiry(wish["expires_at_ms"]),
    )


def _title(title: str | None) -> str | None:
    """Return a title in one line; a blank one is none."""
    if title is None or (isinstance(title, str) and not title.strip()):
        return None
    return gate_name(title, "the title")
