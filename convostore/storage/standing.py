"""How conversations stand while a group of writes is decided, and adding messages to them."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import bindparam, func, insert, select, update

from convostore.errors import (
    ConversationBusyError,
    ConversationNotFoundError,
    ConvostoreError,
    HeadMovedError,
)
from convostore.storage.journal import DeadReply, interrupt_replies, parent_hash
from convostore.storage.leases import is_dead
from convostore.storage.rows import content_hash, to_json
from convostore.storage.statements import Hot, Tx, one_of
from convostore.storage.tables import IS_RUNNING, conversation, message


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message about to be stored; its text has passed the gate.

    Attributes:
        shape: the parts as stored, or None when the text says it all (`rows.encode_parts`).
        error: as JSON.
    """

    id: str
    role: str
    text: str
    shape: str | None = None
    author: str | None = None
    status: str = "completed"
    provider: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    idempotency_key: str | None = None
    lease: str | None = None
    source_id: str | None = None


class Standing(msgspec.Struct):
    """How a conversation stands while a group of jobs is being decided."""

    conversation_id: str
    head_seq: int | None
    last_seq: int
    running: dict[int, str | None]
    """seq to lease of the replies that run"""
    hashes: dict[int, str | None]
    """content hashes of messages made by this group"""


_STANDINGS = Hot(
    select(conversation.c.id, conversation.c.head_seq, conversation.c.last_seq).where(
        conversation.c.owner_id == bindparam("owner_id"),
        one_of(conversation.c.id, "ids"),
        conversation.c.deleted_at_ms.is_(None),
    )
)
_RUNNING = Hot(
    select(message.c.conversation_id, message.c.seq, message.c.lease).where(
        message.c.owner_id == bindparam("owner_id"),
        one_of(message.c.conversation_id, "ids"),
        IS_RUNNING,
    )
)
ADD_MESSAGE = Hot(insert(message))
ADVANCE = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
    )
    .values(
        head_seq=bindparam("new_head_seq"),
        last_seq=bindparam("new_last_seq"),
        message_count=conversation.c.message_count + bindparam("more"),
        updated_at_ms=func.max(conversation.c.updated_at_ms, bindparam("now_ms")),
        title=func.coalesce(conversation.c.title, bindparam("new_title")),
        title_source=func.coalesce(conversation.c.title_source, bindparam("new_title_source")),
    )
)


def standings(tx: Tx, owner_id: str, ids: list[str]) -> dict[str, Standing]:
    """Read how the named conversations stand; missing and deleted ones are left out."""
    names = to_json(sorted(set(ids)))
    found = {
        id_: Standing(conversation_id=id_, head_seq=head, last_seq=last, running={}, hashes={})
        for id_, head, last in tx.rows(_STANDINGS, owner_id=owner_id, ids=names)
    }
    for id_, seq, lease in tx.rows(_RUNNING, owner_id=owner_id, ids=names):
        if id_ in found:
            found[id_].running[seq] = lease
    return found


class Adding:
    """Adds one job's messages to a conversation whose standing is known."""

    def __init__(
        self, tx: Tx, owner_id: str, stands: Standing, *, now_ms: int, rows: list[dict[str, Any]]
    ) -> None:
        self.tx, self.owner_id, self.stands = tx, owner_id, stands
        self.now_ms, self.rows = now_ms, rows

    def message(self, new: NewMessage, parent_seq: int | None) -> int:
        """Add a row below *parent_seq* and return its seq."""
        self.stands.last_seq += 1
        seq = self.stands.last_seq
        final = new.status != "streaming"
        hash_ = (
            content_hash(self._hash(parent_seq), new.role, new.text, new.shape) if final else None
        )
        self.stands.hashes[seq] = hash_
        self.rows.append(
            {
                "owner_id": self.owner_id,
                "conversation_id": self.stands.conversation_id,
                "seq": seq,
                "id": new.id,
                "parent_seq": parent_seq,
                "role": new.role,
                "author": new.author,
                "status": new.status,
                "text": new.text,
                "parts": new.shape,
                "provider": new.provider,
                "model": new.model,
                "finish_reason": new.finish_reason,
                "error": new.error,
                "idempotency_key": new.idempotency_key,
                "lease": new.lease,
                "created_at_ms": self.now_ms,
                "finished_at_ms": self.now_ms if final else None,
                "content_hash": hash_,
                "source_id": new.source_id,
            }
        )
        return seq

    def _hash(self, seq: int | None) -> str | None:
        if seq in self.stands.hashes:
            return self.stands.hashes[seq]
        return parent_hash(self.tx, self.owner_id, self.stands.conversation_id, seq)

    def advance(self, head_seq: int | None, more: int, title: str | None) -> None:
        """Move the head, count *more* messages, and give a title where there is none."""
        self.stands.head_seq = head_seq
        self.tx.run(
            ADVANCE,
            of_owner_id=self.owner_id,
            of_id=self.stands.conversation_id,
            new_head_seq=head_seq,
            new_last_seq=self.stands.last_seq,
            more=more,
            now_ms=self.now_ms,
            new_title=title,
            new_title_source=None if title is None else "fallback",
        )


def refuse_running(
    tx: Tx,
    owner_id: str,
    stands: Standing,
    *,
    parent_seq: int | None,
    now_ms: int,
    one_at_a_time: bool,
) -> ConvostoreError | None:
    """Return the conflict with a running reply, if any; close those whose writer died."""
    for seq, lease in list(stands.running.items()):
        if is_dead(lease, now_ms):
            dead = DeadReply(conversation_id=stands.conversation_id, message_seq=seq, now_ms=now_ms)
            interrupt_replies(tx, owner_id, [dead])
            del stands.running[seq]
        elif one_at_a_time or seq == parent_seq:
            return ConversationBusyError(
                "a reply of this conversation is still running",
                hint="wait until it has ended, or stop it",
            )
    return None


def no_conversation(conversation_id: str) -> ConversationNotFoundError:
    """Return the error for a conversation that this owner does not have."""
    return ConversationNotFoundError(
        f"there is no conversation {conversation_id}", hint="see them all: convostore list"
    )


def head_moved() -> HeadMovedError:
    """Return the error for a write that insisted on the head it had read."""
    return HeadMovedError(
        "somebody else wrote to this conversation since it was read",
        hint="read it again with resume(), then decide",
    )
