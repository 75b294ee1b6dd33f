"""Discord's key rules: what names the room, the message and who wrote it.

They look at the objects of discord.py or a fork of it, and import none. A thread is a channel of
its own, and a channel of direct messages is always the same one. Ids have 64 bits; here all of them
are text. Source: Discord, "API Reference", Snowflakes; "Channel"; "Threads".
"""

from __future__ import annotations

from typing import Any, Final

from convostore.integrations.said import Said

PREFIX: Final = "discord"


def conversation_key(event: Any, *, per_user: bool = False) -> str:
    """Return the key of the room in which something was written, edited or deleted.

    Args:
        event: a message, an interaction, or a raw event about a message.
        per_user: each person has a memory of their own in a room that they share; not for raw
            events about deleted messages, which do not say whose they were.
    """
    channel_id = getattr(event, "channel_id", None)
    key = f"{PREFIX}:{event.channel.id if channel_id is None else channel_id}"
    return f"{key}:user:{author_id(event)}" if per_user else key


def idempotency_key(event: Any) -> str:
    """Return what a message is known by: the same when it is told again, edited or deleted."""
    message_id = getattr(event, "message_id", None)
    return str(event.id if message_id is None else message_id)


def author(event: Any) -> str | None:
    """Return the name of who wrote a message, as its room shows it."""
    who = _who(event)
    return None if who is None else str(who.display_name)


def author_id(event: Any) -> str | None:
    """Return the id of who wrote a message, for `author_id` and for `Store.forget`."""
    who = _who(event)
    return None if who is None else f"{PREFIX}:{who.id}"


def said(message: Any) -> Said:
    """Return what `Conversation.stream` and `send` are told of a message, besides its text."""
    return Said(
        idempotency_key=idempotency_key(message),
        author=author(message),
        author_id=author_id(message),
    )


def metadata(event: Any) -> dict[str, Any]:
    """Return what a thread's key does not tell: the channel that it belongs to."""
    parent_id = getattr(getattr(event, "channel", None), "parent_id", None)
    return {} if parent_id is None else {"parent_id": str(parent_id)}


def _who(event: Any) -> Any:
    """Return the author of a message or of an edited one, or the user of an interaction.

    An interaction's message may be the bot's own, with a button that somebody else has pressed.
    """
    user = getattr(event, "user", None)
    return user or getattr(getattr(event, "message", None) or event, "author", None)
