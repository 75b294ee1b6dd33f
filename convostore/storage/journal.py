"""The journal of running replies: flushing deltas, and closing replies whose writer died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, delete, select, update

from convostore.errors import ConversationNotFoundError, ConvostoreError
from convostore.records import RemoteThread
from convostore.storage.calls import KEEP_CALL, unknown_call
from convostore.storage.canonical import content_hash, encode_parts, to_json
from convostore.storage.leases import is_dead, token_of
from convostore.storage.rows import fold_journal
from convostore.storage.statements import Hot, pair_of, upsert
from convostore.storage.tables import conversation, journal, message, remote_thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convostore.storage.statements import Tx


class Flush(msgspec.Struct, frozen=True, kw_only=True):
    """What one running turn has to put on disk.

    Attributes:
        conversation_id: where.
        message_seq: the reply.
        lease: the writer's lease, renewed; its token fences the write.
        rows: (seq, kind, text) of what is not on disk yet; a row with a known seq replaces it.
        remote: the remote thread, if it is new.
    """

    conversation_id: str
    message_seq: int
    lease: str
    rows: tuple[tuple[int, str, str], ...] = ()
    remote: RemoteThread | None = None


def _reply(table: Any = message) -> tuple[Any, ...]:
    """Return the clauses that name one message."""
    return (
        table.c.owner_id == bindparam("owner_id"),
        table.c.conversation_id == bindparam("conversation_id"),
        table.c.seq == bindparam("seq"),
    )


_binned = (
    select(conversation.c.handle)
    .where(
        conversation.c.owner_id == message.c.owner_id,
        conversation.c.id == message.c.conversation_id,
        conversation.c.deleted_at_ms.is_not(None),
    )
    .scalar_subquery()
)
_WRITERS = Hot(
    select(
        message.c.conversation_id, message.c.seq, message.c.status, message.c.lease, _binned
    ).where(
        message.c.owner_id == bindparam("owner_id"),
        pair_of(message.c.conversation_id, message.c.seq, "places"),
    )
)
_RENEW = Hot(
    update(message)
    .where(
        message.c.owner_id == bindparam("of_owner_id"),
        message.c.conversation_id == bindparam("of_conversation_id"),
        message.c.seq == bindparam("of_seq"),
    )
    .values(lease=bindparam("new_lease"))
)
_row = upsert(journal)
_KEEP = Hot(
    _row.on_conflict_do_update(
        index_elements=["owner_id", "conversation_id", "message_seq", "seq"],
        set_={"kind": _row.excluded.kind, "text": _row.excluded.text},
    )
)
_remote = upsert(remote_thread)
_KEEP_REMOTE = Hot(
    _remote.on_conflict_do_update(
        index_elements=["owner_id", "conversation_id", "message_seq"],
        set_={
            name: getattr(_remote.excluded, name)
            for name in (
                "server_url",
                "dialect",
                "remote_id",
                "user_remote_id",
                "root_id",
                "same_text",
                "expires_at_ms",
            )
        },
    )
)
_PIECES = Hot(
    select(journal.c.seq, journal.c.kind, journal.c.text).where(
        journal.c.owner_id == bindparam("owner_id"),
        journal.c.conversation_id == bindparam("conversation_id"),
        journal.c.message_seq == bindparam("seq"),
    )
)
_CLEAR = Hot(
    delete(journal).where(
        journal.c.owner_id == bindparam("owner_id"),
        journal.c.conversation_id == bindparam("conversation_id"),
        journal.c.message_seq == bindparam("seq"),
    )
)
_OPEN_REPLY = Hot(
    select(
        message.c.parent_seq,
        message.c.role,
        message.c.status,
        message.c.lease,
        message.c.id,
        message.c.provider,
        message.c.model,
    ).where(*_reply())
)
_PARENT_HASH = Hot(select(message.c.content_hash).where(*_reply()))
_INTERRUPT = Hot(
    update(message)
    .where(
        message.c.owner_id == bindparam("of_owner_id"),
        message.c.conversation_id == bindparam("of_conversation_id"),
        message.c.seq == bindparam("of_seq"),
    )
    .values(
        status="interrupted",
        text=bindparam("new_text"),
        parts=bindparam("new_parts"),
        finished_at_ms=bindparam("now_ms"),
        content_hash=bindparam("new_hash"),
    )
)
_COUNT_INTERRUPTED = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
    )
    .values(interrupted_count=conversation.c.interrupted_count + bindparam("more"))
)


def flush_journals(tx: Tx, owner_id: str, jobs: Sequence[Flush]) -> list[bool | ConvostoreError]:
    """Put deltas, renewed leases and remote threads on disk.

    Returns:
        For each job, False when the reply is no longer this writer's: nothing was written. An
        error when the conversation is in the bin by now: all was written, and the turn is to end.
    """
    outcomes: list[bool | ConvostoreError] = []
    pieces: list[dict[str, Any]] = []
    leases: list[dict[str, Any]] = []
    places = to_json([(job.conversation_id, job.message_seq) for job in jobs])
    found = {
        (id_, seq): (status, lease, binned)
        for id_, seq, status, lease, binned in tx.rows(_WRITERS, owner_id=owner_id, places=places)
    }
    for job in jobs:
        place = (job.conversation_id, job.message_seq)
        status, lease, binned = found.get(place, ("", None, None))
        ours = status == "streaming" and token_of(lease) == token_of(job.lease)
        outcomes.append(_went_to_bin(binned) if ours and binned is not None else ours)
        if not ours:
            continue
        if lease != job.lease:
            leases.append(
                {
                    "of_owner_id": owner_id,
                    "of_conversation_id": job.conversation_id,
                    "of_seq": job.message_seq,
                    "new_lease": job.lease,
                }
            )
        if job.remote is not None:
            keep_remote(tx, owner_id, job.conversation_id, job.message_seq, job.remote)
        pieces += [
            {
                "owner_id": owner_id,
                "conversation_id": job.conversation_id,
                "message_seq": job.message_seq,
                "seq": seq,
                "kind": kind,
                "text": text,
            }
            for seq, kind, text in job.rows
        ]
    tx.many(_RENEW, leases)
    tx.many(_KEEP, pieces)
    return outcomes


def _went_to_bin(handle: str) -> ConversationNotFoundError:
    return ConversationNotFoundError(
        f"{handle} was moved to the bin while its reply ran; what had come of it is kept there",
        hint=f"bring it back: convostore restore {handle}",
    )


def keep_remote(
    tx: Tx, owner_id: str, conversation_id: str, message_seq: int, remote: RemoteThread
) -> None:
    """Store what the far side keeps of a reply, replacing what was known."""
    tx.run(
        _KEEP_REMOTE,
        owner_id=owner_id,
        conversation_id=conversation_id,
        message_seq=message_seq,
        server_url=remote.server_url,
        dialect=remote.dialect,
        remote_id=remote.remote_id,
        user_remote_id=remote.user_remote_id,
        root_id=remote.root_id,
        same_text=int(remote.same_text),
        expires_at_ms=remote.expires_at_ms,
    )


def clear_journals(tx: Tx, owner_id: str, places: Sequence[tuple[str, int]]) -> None:
    """Remove the journals of replies (conversation id, seq), whose records now hold everything."""
    tx.many(
        _CLEAR,
        [{"owner_id": owner_id, "conversation_id": id_, "seq": seq} for id_, seq in places],
    )


def count_interrupted(tx: Tx, owner_id: str, conversation_id: str, more: int) -> None:
    """Add *more* (it may be negative) to a conversation's count of interrupted replies."""
    tx.run(_COUNT_INTERRUPTED, of_owner_id=owner_id, of_id=conversation_id, more=more)


def parent_hash(tx: Tx, owner_id: str, conversation_id: str, parent_seq: int | None) -> str | None:
    """Return the content hash of a parent; None at a root."""
    if parent_seq is None:
        return None
    found = tx.rows(
        _PARENT_HASH, owner_id=owner_id, conversation_id=conversation_id, seq=parent_seq
    )
    return found[0][0] if found else None


class DeadReply(msgspec.Struct, frozen=True, kw_only=True):
    """A running reply whose lease was seen dead."""

    conversation_id: str
    message_seq: int
    now_ms: int


def interrupt_replies(tx: Tx, owner_id: str, jobs: Sequence[DeadReply]) -> list[bool]:
    """Close replies whose writer died: fold the journal into the record, status `interrupted`.

    The lease stays in the row, so that a writer who was only slow may finish it once. What the call
    cost is unknown.

    Returns:
        For each job, False when somebody else closed it first or its writer lives after all.
    """
    outcomes = []
    for job in jobs:
        at = {"conversation_id": job.conversation_id, "seq": job.message_seq}
        found = tx.rows(_OPEN_REPLY, owner_id=owner_id, **at)
        dead = bool(found) and found[0][2] == "streaming" and is_dead(found[0][3], job.now_ms)
        outcomes.append(dead)
        if not dead:
            continue
        parent_seq, role, _, _, id_, provider, model = found[0]
        pieces = tx.rows(_PIECES, owner_id=owner_id, **at)
        text, shape = encode_parts(fold_journal((s, k, t) for s, k, t in pieces))
        above = parent_hash(tx, owner_id, job.conversation_id, parent_seq)
        tx.run(
            _INTERRUPT,
            of_owner_id=owner_id,
            of_conversation_id=job.conversation_id,
            of_seq=job.message_seq,
            new_text=text,
            new_parts=shape,
            now_ms=job.now_ms,
            new_hash=content_hash(above, role, text, shape),
        )
        tx.marked = True  # since it began
        clear_journals(tx, owner_id, [(job.conversation_id, job.message_seq)])
        count_interrupted(tx, owner_id, job.conversation_id, 1)
        place = (job.conversation_id, job.message_seq)
        call = unknown_call(owner_id, *place, job.now_ms, id=id_, provider=provider, model=model)
        tx.run(KEEP_CALL, **call)
    return outcomes


def close_dead(
    tx: Tx, owner_id: str, conversation_id: str, seqs: Iterable[int], now_ms: int
) -> None:
    """Close replies whose writers were seen dead, before more is done to them: their calls count."""
    dead = [
        DeadReply(conversation_id=conversation_id, message_seq=seq, now_ms=now_ms) for seq in seqs
    ]
    interrupt_replies(tx, owner_id, dead)
