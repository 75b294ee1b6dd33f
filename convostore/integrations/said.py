"""What the key rules of each platform say of a message, as `Conversation.stream` and `send` take it."""

from __future__ import annotations

from typing import TypedDict


class Said(TypedDict):
    """Who said something, and by what it is known when it is told again.

    Give it on: `await chat.send(text, **telegram.said(message))`.
    """

    idempotency_key: str
    author: str | None
    author_id: str | None
