"""How conversations stand while a group of writes is decided, and adding messages to them.

A group reads all its conversations in one statement, decides in Python, and writes each of them
once, however many of its jobs went to the same one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, bindparam, select, update

from convostore import clock
from convostore.errors import (
    ConversationBusyError,
    ConversationNotFoundError,
    ConvostoreError,
    HeadMovedError,
)
from convostore.storage.canonical import content_hash, to_json
from convostore.storage.exchanges import Change, NewMessage
from convostore.storage.journal import DeadReply, interrupt_replies, parent_hash
from convostore.storage.kept import KEPT
from convostore.storage.leases import is_dead
from convostore.storage.rows import leases_from
from convostore.storage.statements import Hot, Tx, json_rows, one_of
from convostore.storage.tables import IS_RUNNING, conversation, message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convostore.storage.statements import Row


class Standing(msgspec.Struct, kw_only=True):
    """How a conversation stands while a group of jobs is being decided.

    Attributes:
        last_seq: whoever adds, changes or removes a message that was final takes the next one, so
            that who knows the conversation by this number knows it as it is.
        running: seq to lease of the replies that run.
        hashes: content hashes by seq: the head's, and those of messages made by this group.
        ids: message ids by seq, likewise.
        moved: something was decided that has to be written.
    """

    conversation_id: str
    head_seq: int | None
    last_seq: int
    message_count: int
    updated_at_ms: int
    title: str | None
    title_source: str | None
    provider: str | None
    model: str | None
    running: dict[int, str | None]
    hashes: dict[int | None, str | None]
    ids: dict[int | None, str | None]
    moved: bool = False

    def change(self) -> Change:
        """Return how the conversation stands by now."""
        return Change(
            head_seq=self.head_seq,
            last_seq=self.last_seq,
            message_count=self.message_count,
            updated_at_ms=self.updated_at_ms,
            title=self.title,
            title_source=self.title_source,
            provider=self.provider,
            model=self.model,
        )


_head = message.alias("head")
_running = (
    select(json_rows(message.c.seq, message.c.lease))
    .where(
        message.c.owner_id == conversation.c.owner_id,
        message.c.conversation_id == conversation.c.id,
        IS_RUNNING,
    )
    .scalar_subquery()
)
_standing = (
    select(
        conversation.c.id,
        conversation.c.head_seq,
        conversation.c.last_seq,
        conversation.c.message_count,
        conversation.c.updated_at_ms,
        conversation.c.title,
        conversation.c.title_source,
        conversation.c.provider,
        conversation.c.model,
        _head.c.id,
        _head.c.content_hash,
        _running,
    )
    .select_from(
        conversation.outerjoin(
            _head,
            and_(
                _head.c.owner_id == conversation.c.owner_id,
                _head.c.conversation_id == conversation.c.id,
                _head.c.seq == conversation.c.head_seq,
            ),
        )
    )
    .where(conversation.c.owner_id == bindparam("owner_id"))
)
_ONE = Hot(_standing.where(*KEPT, conversation.c.id == bindparam("id")))
_SEVERAL = Hot(_standing.where(*KEPT, one_of(conversation.c.id, "ids")))
_ANY = Hot(_standing.where(conversation.c.id == bindparam("id")))
HANDLE_IN_BIN = Hot(
    select(conversation.c.handle).where(
        conversation.c.owner_id == bindparam("owner_id"),
        conversation.c.id == bindparam("id"),
        conversation.c.deleted_at_ms.is_not(None),
    )
)
_ADVANCE = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
    )
    .values(
        {name: bindparam(f"new_{name}") for name in Change.__struct_fields__}
        | {"listed_at_ms": bindparam("now_ms")}
    )
)


def standings(tx: Tx, owner_id: str, ids: list[str]) -> dict[str, Standing]:
    """Read how the named conversations stand; missing and deleted ones are left out."""
    rows = (
        tx.rows(_ONE, owner_id=owner_id, id=ids[0])
        if len(ids) == 1
        else tx.rows(_SEVERAL, owner_id=owner_id, ids=to_json(sorted(set(ids))))
    )
    return _standings_from(rows)


def standing_of(tx: Tx, owner_id: str, conversation_id: str) -> Standing | None:
    """Read how a conversation stands, be it in the bin; None where there is none."""
    rows = tx.rows(_ANY, owner_id=owner_id, id=conversation_id)
    return _standings_from(rows).get(conversation_id)


def _standings_from(rows: Iterable[Row]) -> dict[str, Standing]:
    found = {}
    for row in rows:
        id_, head, last, count, updated, title, source, provider, model = row[:9]
        head_id, head_hash, running = row[9:]
        found[id_] = Standing(
            conversation_id=id_,
            head_seq=head,
            last_seq=last,
            message_count=count,
            updated_at_ms=updated,
            title=title,
            title_source=source,
            provider=provider,
            model=model,
            running=leases_from(running),
            hashes={None: None, head: head_hash},
            ids={None: None, head: head_id},
        )
    return found


def keep_standings(tx: Tx, owner_id: str, standing: Iterable[Standing]) -> None:
    """Write the conversations that a group has moved."""
    now_ms = clock.now_ms()
    tx.many(
        _ADVANCE,
        [
            {
                "of_owner_id": owner_id,
                "of_id": one.conversation_id,
                "new_head_seq": one.head_seq,
                "new_last_seq": one.last_seq,
                "new_message_count": one.message_count,
                "new_updated_at_ms": one.updated_at_ms,
                "new_title": one.title,
                "new_title_source": one.title_source,
                "new_provider": one.provider,
                "new_model": one.model,
                "now_ms": now_ms,
            }
            for one in standing
            if one.moved
        ],
    )


class Adding:
    """Adds one job's messages to a conversation whose standing is known."""

    def __init__(
        self, tx: Tx, owner_id: str, stands: Standing, *, now_ms: int, rows: list[dict[str, Any]]
    ) -> None:
        self.tx, self.owner_id, self.stands = tx, owner_id, stands
        self.now_ms, self.rows = now_ms, rows

    def message(self, new: NewMessage, parent_seq: int | None) -> int:
        """Add a row below *parent_seq* and return its seq."""
        stands = self.stands
        stands.last_seq += 1
        seq = stands.last_seq
        final = new.status != "streaming"
        hash_ = (
            content_hash(self._hash(parent_seq), new.role, new.text, new.shape) if final else None
        )
        stands.hashes[seq], stands.ids[seq] = hash_, new.id
        self.rows.append(
            {
                "owner_id": self.owner_id,
                "conversation_id": stands.conversation_id,
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
                "author_id": new.author_id or new.author,
            }
        )
        return seq

    def _hash(self, seq: int | None) -> str | None:
        hashes = self.stands.hashes
        if seq not in hashes:
            conversation_id = self.stands.conversation_id
            hashes[seq] = parent_hash(self.tx, self.owner_id, conversation_id, seq)
        return hashes[seq]

    def advance(self, head_seq: int | None, more: int, title: str | None) -> None:
        """Move the head, count *more* messages, and give a title where there is none."""
        stands = self.stands
        stands.head_seq = head_seq
        stands.message_count += more
        stands.updated_at_ms = max(stands.updated_at_ms, self.now_ms)
        if stands.title is None and title is not None:
            stands.title, stands.title_source = title, "fallback"
        stands.moved = True


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
            stands.hashes.pop(seq, None)  # it has one now
        elif one_at_a_time or seq == parent_seq:
            return ConversationBusyError(
                "a reply of this conversation is still running",
                hint="wait until it has ended, or stop it",
            )
    return None


def no_conversation(tx: Tx, owner_id: str, conversation_id: str) -> ConversationNotFoundError:
    """Return the error for a conversation that this owner does not have, or has in the bin."""
    rows = tx.rows(HANDLE_IN_BIN, owner_id=owner_id, id=conversation_id)
    if rows:
        return in_bin(rows[0][0])
    return ConversationNotFoundError(
        f"there is no conversation {conversation_id}", hint="see them all: convostore list"
    )


def in_bin(handle: str) -> ConversationNotFoundError:
    """Return the error for a conversation that is in the bin."""
    return ConversationNotFoundError(
        f"{handle} is in the bin", hint=f"bring it back: convostore restore {handle}"
    )


def head_moved() -> HeadMovedError:
    """Return the error for a write that insisted on the head it had read."""
    return HeadMovedError(
        "somebody else wrote to this conversation since it was read",
        hint="read it again with resume(), then decide",
    )
