"""Slack's key rules: what names the room, the message and who wrote it.

They look at the events of the Events API, which are dictionaries, and import nothing. A message is
known by its `ts` within its channel: what Slack delivers twice has the same one, and so has a
mention that comes as two events. Source: Slack, "Events API", Event types; "message event".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convostore.integrations.said import Said

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX: Final = "slack"
_SAID: Final = frozenset({None, "file_share", "thread_broadcast"})
_RETRY: Final = "x-slack-retry-num"


def conversation_key(
    event: Mapping[str, Any], team_id: str | None = None, *, per_user: bool = False
) -> str:
    """Return the key of the room in which something was written, edited or deleted.

    A thread is a room of its own, and so is each message that may begin one; direct messages are
    one long room.

    Args:
        event: a message or a mention; or a message's change or deletion.
        team_id: the workspace, as the body of the request names it; else the event's own.
        per_user: each person has a memory of their own in a room that they share.
    """
    message = _message(event)
    parts = [PREFIX, team_id or event.get("team") or message.get("team") or "", event["channel"]]
    if event.get("channel_type") != "im":
        parts.append(message.get("thread_ts") or message["ts"])
    key = ":".join(str(part) for part in parts)
    return f"{key}:user:{author_id(event)}" if per_user else key


def idempotency_key(event: Mapping[str, Any]) -> str:
    """Return what a message is known by: the same when it is told again, edited or deleted."""
    return str(_message(event)["ts"])


def author(event: Mapping[str, Any]) -> str | None:
    """Return who wrote a message: the user's id, as a mention of theirs in a text has it."""
    user = _message(event).get("user")
    return None if user is None else str(user)


def author_id(event: Mapping[str, Any]) -> str | None:
    """Return the id of who wrote a message, for `author_id` and for `Store.forget`."""
    user = author(event)
    return None if user is None else f"{PREFIX}:{user}"


def said(event: Mapping[str, Any]) -> Said:
    """Return what `Conversation.stream` and `send` are told of a message, besides its text."""
    return Said(
        idempotency_key=idempotency_key(event), author=author(event), author_id=author_id(event)
    )


def text(event: Mapping[str, Any]) -> str:
    """Return what was written; of a change, the new words."""
    return str(_message(event).get("text") or "")


def is_said(event: Mapping[str, Any]) -> bool:
    """Tell whether an event is what somebody has written: no change, no notice, not of a bot."""
    return not event.get("bot_id") and event.get("subtype") in _SAID


def is_deletion(event: Mapping[str, Any]) -> bool:
    """Tell whether an event says that a message was deleted.

    One that has replies leaves a tombstone in its place, and that is told as a change.
    """
    if event.get("subtype") == "message_deleted":
        return True
    return (
        event.get("subtype") == "message_changed" and _message(event).get("subtype") == "tombstone"
    )


def retries(headers: Mapping[str, str | Sequence[str]]) -> int:
    """Return how often Slack has delivered a request before; 0 is the first time.

    It does so where no answer came within three seconds. The idempotency key makes a repeat
    harmless; this tells that it is one.

    Args:
        headers: of the request, in whatever letters; a value may be a list of them.
    """
    for name, value in headers.items():
        if name.lower() == _RETRY:
            number = value if isinstance(value, str) else next(iter(value), "")
            return int(number) if number.isdecimal() else 0
    return 0


def _message(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the message that an event is, or is about."""
    found = event.get("message") or event.get("previous_message") or event
    return found if isinstance(found, dict) else event
