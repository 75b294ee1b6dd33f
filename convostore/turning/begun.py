"""What the beginning of a turn comes to."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from convostore.events import Delta
from convostore.records import Message
from convostore.storage.exchanges import Begun, NewMessage


class BegunTurn(msgspec.Struct, frozen=True, kw_only=True):
    """Write 1 is done, or was not needed.

    Attributes:
        known: the deltas of a reply that was asked for before, with the same key; else None.
    """

    user: Message
    reply: Message
    branched: bool = False
    lease: str = ""
    known: AsyncGenerator[Delta] | None = None


class Written(msgspec.Struct, frozen=True):
    """What write 1 stored."""

    begun: Begun
    reply: NewMessage
    lease: str
    now_ms: int


class OutdatedError(Exception):
    """Nothing was written: what this caller knows of the conversation is old."""
