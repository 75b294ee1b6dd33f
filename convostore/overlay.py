"""What stands for messages in views, and is none itself."""

from __future__ import annotations

import msgspec


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider made of the beginning of a conversation, to be told in its place.

    The messages themselves stay as they are.

    Attributes:
        message_seq: the number of the last message that it sums up, with all that are above it
            but the system text at the beginning.
        text: the summary.
        provider: who made it, and so `model`.
        created_at_ms: when.
    """

    message_seq: int
    text: str
    provider: str | None = None
    model: str | None = None
    created_at_ms: int = 0
