"""Write 2 of a turn: how a reply ends, fenced by its writer's token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, func, select, update

from convostore.errors import ConvostoreError, MessageNotFoundError
from convostore.storage.calls import KEEP_CALL, call_row
from convostore.storage.canonical import content_hash
from convostore.storage.exchanges import Ended, EndUnbegun, FinishTurn
from convostore.storage.journal import clear_journals, count_interrupted, keep_remote
from convostore.storage.leases import token_of
from convostore.storage.replies import STAND, Reply, advance, replies, sibling_row
from convostore.storage.retold import stored_message
from convostore.storage.search_marks import add_messages, mark
from convostore.storage.search_shelf import take_out
from convostore.storage.statements import Hot, Tx, greatest
from convostore.storage.tables import conversation, message

if TYPE_CHECKING:
    from collections.abc import Sequence


_CHILD = Hot(
    select(message.c.seq)
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq > bindparam("seq"),  # children come later: the key serves the search
        message.c.parent_seq == bindparam("seq"),
    )
    .limit(1)
)
_ERASED = Hot(
    select(message.c.seq)
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq < bindparam("seq"),
        message.c.status == "erased",
    )
    .limit(1)
)
_END = Hot(
    update(message)
    .where(
        message.c.owner_id == bindparam("of_owner_id"),
        message.c.conversation_id == bindparam("of_conversation_id"),
        message.c.seq == bindparam("of_seq"),
    )
    .values(
        status=bindparam("new_status"),
        text=bindparam("new_text"),
        parts=bindparam("new_parts"),
        model=bindparam("new_model"),
        finish_reason=bindparam("new_finish_reason"),
        error=bindparam("new_error"),
        lease=bindparam("new_lease"),
        finished_at_ms=bindparam("now_ms"),
        content_hash=bindparam("new_hash"),
    )
)
_TOUCH = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
    )
    .values(
        updated_at_ms=greatest(conversation.c.updated_at_ms, bindparam("now_ms")),
        model=func.coalesce(conversation.c.model, bindparam("new_model")),
        provider=func.coalesce(conversation.c.provider, bindparam("new_provider")),
    )
)


def finish_turns(
    tx: Tx, owner_id: str, jobs: Sequence[FinishTurn]
) -> list[Ended | ConvostoreError]:
    """Store how each reply ended, and clear its journal.

    A reply found closed as `interrupted` may still be finished once, while nothing hangs below
    it; otherwise the text is stored as a sibling, so that nothing that was shown is lost. A
    repeat of a finish that is stored already changes nothing.
    """
    places = [(job.conversation_id, job.message_seq) for job in jobs]
    if len(set(places)) < len(places):  # a repeat has to see what the first one did
        return [outcome for job in jobs for outcome in finish_turns(tx, owner_id, [job])]
    found = replies(tx, owner_id, places)
    ends: list[dict[str, Any]] = []
    outcomes = [
        _finish(tx, owner_id, job, found.get(place), ends)
        for job, place in zip(jobs, places, strict=True)
    ]
    ended = [
        (job, outcome)
        for job, outcome in zip(jobs, outcomes, strict=True)
        if isinstance(outcome, Ended) and outcome.content_hash is not None
    ]
    tx.many(_END, ends)
    tx.marked = True  # since they began
    clear_journals(
        tx,
        owner_id,
        [
            (job.conversation_id, job.message_seq)
            for job, end in ended
            if job.journaled and not end.sibling
        ],
    )
    for job, end in ended:
        place = (job.conversation_id, job.message_seq)
        late = end.sibling or found[place].status != "streaming"
        if job.remote is not None and not (late and _forgot(tx, owner_id, job)):
            keep_remote(tx, owner_id, job.conversation_id, end.message_seq, job.remote)
    tx.many(KEEP_CALL, [call_row(owner_id, job, end) for job, end in ended if job.call_id])
    tx.many(
        _TOUCH,
        [
            {
                "of_owner_id": owner_id,
                "of_id": job.conversation_id,
                "now_ms": job.now_ms,
                "new_model": job.model,
                "new_provider": job.provider,
            }
            for job, _ in ended
        ],
    )
    return outcomes


def end_unbegun(
    tx: Tx, owner_id: str, jobs: Sequence[EndUnbegun]
) -> list[Ended | ConvostoreError | None]:
    """End each reply that is stored and runs under its writer's token; None for the others."""
    return [_end_unbegun(tx, owner_id, job) for job in jobs]


def _end_unbegun(tx: Tx, owner_id: str, job: EndUnbegun) -> Ended | ConvostoreError | None:
    made = stored_message(tx, owner_id, job.reply_id)
    if made is None:
        return None
    end = msgspec.structs.replace(job.end, message_seq=made[0])
    place = (end.conversation_id, end.message_seq)
    reply = replies(tx, owner_id, [place])[place]
    if reply.status != "streaming" or token_of(reply.lease) != end.token:
        return None  # somebody has closed it meanwhile
    return finish_turns(tx, owner_id, [end])[0]


def _finish(
    tx: Tx, owner_id: str, job: FinishTurn, reply: Reply | None, ends: list[dict[str, Any]]
) -> Ended | ConvostoreError:
    if reply is None:
        return MessageNotFoundError("the reply was removed while it ran")
    if reply.status == "erased":
        return MessageNotFoundError("the reply was forgotten while it ran")
    seq = job.message_seq
    ours = token_of(reply.lease) == job.token
    if ours and reply.status not in {"streaming", "interrupted"}:
        return Ended(  # stored by an earlier try of this same write
            message_seq=seq, sibling=False, content_hash=None
        )
    late = ours and reply.status == "interrupted" and not _has_child(tx, owner_id, job)
    hash_ = content_hash(reply.above, reply.role, job.text, job.shape)
    if not (late or (ours and reply.status == "streaming")):
        if made := stored_message(tx, owner_id, job.spare_id):
            return Ended(message_seq=made[0], sibling=True, content_hash=made[1])
        seq = _sibling(tx, owner_id, job, reply.parent_seq, hash_)
        return Ended(message_seq=seq, sibling=True, content_hash=hash_)
    if late:
        count_interrupted(tx, owner_id, job.conversation_id, -1)
        take_out(tx, owner_id, [(job.conversation_id, seq)])  # it was found by what it had so far
        mark(tx, owner_id, [(job.conversation_id, seq)])
    ends.append(
        {
            "of_owner_id": owner_id,
            "of_conversation_id": job.conversation_id,
            "of_seq": seq,
            "new_status": job.status,
            "new_text": job.text,
            "new_parts": job.shape,
            "new_model": job.model,
            "new_finish_reason": job.finish_reason,
            "new_error": job.error,
            "new_lease": job.token,
            "now_ms": job.now_ms,
            "new_hash": hash_,
        }
    )
    return Ended(message_seq=seq, sibling=False, content_hash=hash_)


def _forgot(tx: Tx, owner_id: str, job: FinishTurn) -> bool:
    """Tell whether anything before a reply was forgotten, perhaps while its writer seemed dead."""
    at = {"conversation_id": job.conversation_id, "seq": job.message_seq}
    return bool(tx.rows(_ERASED, owner_id=owner_id, **at))


def _has_child(tx: Tx, owner_id: str, job: FinishTurn) -> bool:
    at = {"conversation_id": job.conversation_id, "seq": job.message_seq}
    return bool(tx.rows(_CHILD, owner_id=owner_id, **at))


def _sibling(tx: Tx, owner_id: str, job: FinishTurn, parent_seq: int | None, hash_: str) -> int:
    head_seq, last_seq = tx.rows(STAND, owner_id=owner_id, conversation_id=job.conversation_id)[0]
    row = sibling_row(owner_id, job.conversation_id, last_seq + 1, job.now_ms)
    new = {
        "id": job.spare_id,
        "parent_seq": parent_seq,
        "status": job.status,
        "text": job.text,
        "parts": job.shape,
        "provider": job.provider,
        "model": job.model,
        "finish_reason": job.finish_reason,
        "error": job.error,
        "lease": job.token,
        "content_hash": hash_,
    }
    add_messages(tx, [row | new])
    advance(tx, owner_id, job.conversation_id, head_seq, last_seq + 1)
    return int(last_seq) + 1
