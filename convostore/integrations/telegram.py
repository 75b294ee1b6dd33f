"""Telegram's key rules: what names the room, the message and who wrote it.

They look at the objects of python-telegram-bot or aiogram, which both have the Bot API's names, and
import neither. Ids are numbers of up to 52 bits and of either sign; here all of them are text.
Source: Telegram, "Bot API", Message, Chat, User, BusinessMessagesDeleted.
"""

from __future__ import annotations

from typing import Any, Final

from convostore.integrations.said import Said

PREFIX: Final = "telegram"


def conversation_key(message: Any, *, per_user: bool = False) -> str:
    """Return the key of the room in which a message was written.

    A forum's topic is a room of its own, and so is each business connection's chat. A reply in a
    plain group has a thread's id, too, and is none.

    Args:
        message: of the Bot API; or deleted business messages, which name their chat alike.
        per_user: each person has a memory of their own in a room that they share.
    """
    parts = [PREFIX]
    if (business := getattr(message, "business_connection_id", None)) is not None:
        parts += ["business", business]
    parts.append(message.chat.id)
    if getattr(message, "is_topic_message", None):
        parts.append(message.message_thread_id)
    key = ":".join(str(part) for part in parts)
    return f"{key}:user:{author_id(message)}" if per_user else key


def idempotency_key(message: Any) -> str:
    """Return what a message is known by: the same when it is told again, or told as edited.

    The chat is in it: a group that becomes a supergroup counts its messages anew.
    """
    return message_key(message.chat.id, message.message_id)


def message_key(chat_id: int, message_id: int) -> str:
    """Return the same of a message of which only the ids are known, as of a deleted one."""
    return f"{chat_id}:{message_id}"


def author(message: Any) -> str | None:
    """Return the name of who wrote a message; of the chat in whose name it was written."""
    name = getattr(message.from_user, "full_name", None)
    if name is None or getattr(message, "sender_chat", None) is not None:
        name = getattr(getattr(message, "sender_chat", None), "title", name)
    return None if name is None else str(name)


def author_id(message: Any) -> str | None:
    """Return the id of who wrote a message, for `author_id` and for `Store.forget`."""
    who = getattr(message, "sender_chat", None) or message.from_user
    return None if who is None else f"{PREFIX}:{who.id}"


def said(message: Any) -> Said:
    """Return what `Conversation.stream` and `send` are told of a message, besides its text."""
    return Said(
        idempotency_key=idempotency_key(message),
        author=author(message),
        author_id=author_id(message),
    )


def migrated(message: Any) -> tuple[str, str] | None:
    """Return the old and the new key of a group that became a supergroup, as both chats are told.

    None is any other message. `Store.rename_key` takes them as they are; with `below=True` the rooms
    of the group's people (`per_user`) go along.
    """
    old, new = message.chat.id, getattr(message, "migrate_to_chat_id", None)
    if new is None:
        old, new = getattr(message, "migrate_from_chat_id", None), message.chat.id
    return None if old is None else (f"{PREFIX}:{old}", f"{PREFIX}:{new}")
