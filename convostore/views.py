"""From the record to what one model call is sent. The record itself is never rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convostore.parts import AttachmentPart
from convostore.providers.provider import ChatMessage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convostore.records import Message


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The messages for one model call, and how they differ from the record.

    Attributes:
        messages: oldest first; no two of the same role stand side by side.
        left_out: messages without text and attachments, and those of tools.
        joined: messages that were joined to the one before, for having the same role.
    """

    messages: tuple[ChatMessage, ...]
    left_out: int = 0
    joined: int = 0


def view(path: Iterable[Message], *, attachments: bool = True) -> View:
    """Choose and mend the messages of *path*: chat templates want text and alternating roles.

    Replies without text and attachments are left out; neighbours of one role are joined by a blank line.

    Args:
        path: the messages, oldest first.
        attachments: False where nobody takes them: then a message that is nothing else is left out.
    """
    chosen: list[ChatMessage] = []
    left_out = joined = 0
    for one in path:
        files = _attached(one) if attachments else ()
        if not (one.text or files) or one.role == "tool":
            left_out += 1
        elif chosen and chosen[-1].role == one.role:
            above = chosen[-1]
            text = "\n\n".join(text for text in (above.text, one.text) if text)
            chosen[-1] = ChatMessage(one.role, text, above.attachments + files)
            joined += 1
        else:
            chosen.append(ChatMessage(one.role, one.text, files))
    return View(messages=tuple(chosen), left_out=left_out, joined=joined)


def _attached(message: Message) -> tuple[AttachmentPart, ...]:
    return tuple(part for part in message.parts if isinstance(part, AttachmentPart))
