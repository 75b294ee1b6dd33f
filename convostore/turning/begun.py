"""What the beginning of a turn comes to."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import msgspec

from convostore.events import Delta
from convostore.records import Message
from convostore.storage.exchanges import Begun, NewMessage

if TYPE_CHECKING:
    from convostore.parts import Part


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

    def question(self, new: NewMessage, parts: tuple[Part, ...], parent: Message | None) -> Message:
        """Return the question, as it is stored."""
        return Message(
            role="user",
            id=new.id,
            text=new.text,
            parts=parts,
            parent_id=parent.id if parent else None,
            parent_seq=parent.seq if parent else None,
            seq=self.begun.user_seq,
            author=new.author,
            author_id=new.author_id or new.author,
            idempotency_key=new.idempotency_key,
            created_at_ms=self.now_ms,
            finished_at_ms=self.now_ms,
            content_hash=self.begun.user_hash,
        )

    def running(self, user: Message) -> Message:
        """Return the reply to *user*, as it is stored: of it there is nothing yet."""
        return Message(
            role="assistant",
            id=self.reply.id,
            text="",
            status="streaming",
            parent_id=user.id,
            parent_seq=user.seq,
            seq=self.begun.reply_seq,
            provider=self.reply.provider,
            model=self.reply.model,
            created_at_ms=self.now_ms,
        )


class OutdatedError(Exception):
    """Nothing was written: what this caller knows of the conversation is old."""
