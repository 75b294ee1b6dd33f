"""Write 2 of a turn: how a reply ends, fenced by its writer's token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, func, insert, select, update

from convostore.errors import ConvostoreError, MessageNotFoundError
from convostore.records import RemoteThread, Usage
from convostore.storage.journal import (
    clear_journal,
    count_interrupted,
    keep_remote,
    parent_hash,
)
from convostore.storage.leases import token_of
from convostore.storage.rows import NANO, content_hash
from convostore.storage.standing import ADD_MESSAGE, no_conversation
from convostore.storage.statements import Hot, Tx
from convostore.storage.tables import conversation, message, usage

if TYPE_CHECKING:
    from collections.abc import Sequence


class FinishTurn(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a reply.

    Attributes:
        message_seq: the running reply.
        token: the writer's lease token.
        spare_id: the id of the sibling, should the reply have been closed and gone on from.
        usage_id: the id of the usage row.
        shape: the parts as stored, or None when the text says it all.
        error: as JSON.
        remote: the remote thread at the end, if it is newer than what was flushed.
    """

    conversation_id: str
    message_seq: int
    token: str
    spare_id: str
    usage_id: str
    status: str
    text: str
    shape: str | None
    now_ms: int
    provider: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    usage: Usage | None = None
    remote: RemoteThread | None = None


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Write 2 is on disk.

    Attributes:
        message_seq: where the text is now: the reply, or the sibling made for it.
        sibling: a sibling had to be made, for the reply had been closed and gone on from.
        content_hash: of the text as stored; None when an earlier try had stored it already.
    """

    message_seq: int
    sibling: bool
    content_hash: str | None


class Adopt(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reply that the far side had kept of a broken one: becomes its sibling and the head.

    Attributes:
        broken_seq: the reply that broke off; nothing is adopted once it has an answer below it
            or is no longer the head.
    """

    conversation_id: str
    broken_seq: int
    id: str
    text: str
    shape: str | None
    now_ms: int
    model: str | None = None
    finish_reason: str | None = None
    remote: RemoteThread | None = None


_REPLY = Hot(
    select(
        message.c.status, message.c.lease, message.c.parent_seq, message.c.role, message.c.provider
    ).where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq == bindparam("seq"),
    )
)
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
        updated_at_ms=func.max(conversation.c.updated_at_ms, bindparam("now_ms")),
        model=func.coalesce(conversation.c.model, bindparam("new_model")),
        provider=func.coalesce(conversation.c.provider, bindparam("new_provider")),
    )
)
_STAND = Hot(
    select(conversation.c.head_seq, conversation.c.last_seq).where(
        conversation.c.owner_id == bindparam("owner_id"),
        conversation.c.id == bindparam("conversation_id"),
    )
)
_ADD_SIBLING = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
    )
    .values(
        head_seq=bindparam("new_head_seq"),
        last_seq=bindparam("new_last_seq"),
        message_count=conversation.c.message_count + 1,
    )
)
_ADD_USAGE = Hot(insert(usage).prefix_with("OR IGNORE", dialect="sqlite"))


def finish_turns(
    tx: Tx, owner_id: str, jobs: Sequence[FinishTurn]
) -> list[Ended | ConvostoreError]:
    """Store how each reply ended, and clear its journal.

    A reply found closed as `interrupted` may still be finished once, while nothing hangs below
    it; otherwise the text is stored as a sibling, so that nothing that was shown is lost. A
    repeat of a finish that is stored already changes nothing.
    """
    return [_finish(tx, owner_id, job) for job in jobs]


def _finish(tx: Tx, owner_id: str, job: FinishTurn) -> Ended | ConvostoreError:
    at = {"owner_id": owner_id, "conversation_id": job.conversation_id, "seq": job.message_seq}
    found = tx.rows(_REPLY, **at)
    if not found:
        return MessageNotFoundError("the reply was removed while it ran")
    status, lease, parent_seq, role, _ = found[0]
    ours = token_of(lease) == job.token
    seq = job.message_seq
    late = ours and status == "interrupted" and not tx.rows(_CHILD, **at)
    if ours and status not in {"streaming", "interrupted"}:
        return Ended(
            message_seq=seq, sibling=False, content_hash=None
        )  # stored by an earlier try of this same write
    above = parent_hash(tx, owner_id, job.conversation_id, parent_seq)
    hash_ = content_hash(above, role, job.text, job.shape)
    sibling = not (late or (ours and status == "streaming"))
    if sibling:
        seq = _sibling(tx, owner_id, job, parent_seq, hash_)
    else:
        tx.run(
            _END,
            of_owner_id=owner_id,
            of_conversation_id=job.conversation_id,
            of_seq=seq,
            new_status=job.status,
            new_text=job.text,
            new_parts=job.shape,
            new_model=job.model,
            new_finish_reason=job.finish_reason,
            new_error=job.error,
            new_lease=job.token,
            now_ms=job.now_ms,
            new_hash=hash_,
        )
        clear_journal(tx, owner_id, job.conversation_id, seq)
    if late:
        count_interrupted(tx, owner_id, job.conversation_id, -1)
    if job.remote is not None:
        keep_remote(tx, owner_id, job.conversation_id, seq, job.remote)
    if job.usage is not None:
        _add_usage(tx, owner_id, job, seq, job.usage)
    tx.run(
        _TOUCH,
        of_owner_id=owner_id,
        of_id=job.conversation_id,
        now_ms=job.now_ms,
        new_model=job.model,
        new_provider=job.provider,
    )
    return Ended(message_seq=seq, sibling=sibling, content_hash=hash_)


def _sibling(tx: Tx, owner_id: str, job: FinishTurn, parent_seq: int | None, hash_: str) -> int:
    head_seq, last_seq = tx.rows(_STAND, owner_id=owner_id, conversation_id=job.conversation_id)[0]
    row = _sibling_row(owner_id, job.conversation_id, last_seq + 1, job.now_ms)
    tx.run(
        ADD_MESSAGE,
        **row
        | {
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
        },
    )
    _advance(tx, owner_id, job.conversation_id, head_seq, last_seq + 1)
    return int(last_seq) + 1


def _sibling_row(owner_id: str, conversation_id: str, seq: int, now_ms: int) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(column.name for column in message.c)
    return empty | {
        "owner_id": owner_id,
        "conversation_id": conversation_id,
        "seq": seq,
        "role": "assistant",
        "created_at_ms": now_ms,
        "finished_at_ms": now_ms,
    }


def _advance(
    tx: Tx, owner_id: str, conversation_id: str, head_seq: int | None, last_seq: int
) -> None:
    tx.run(
        _ADD_SIBLING,
        of_owner_id=owner_id,
        of_id=conversation_id,
        new_head_seq=head_seq,
        new_last_seq=last_seq,
    )


def _add_usage(tx: Tx, owner_id: str, job: FinishTurn, seq: int, used: Usage) -> None:
    tx.run(
        _ADD_USAGE,
        owner_id=owner_id,
        id=job.usage_id,
        conversation_id=job.conversation_id,
        message_seq=seq,
        provider=job.provider,
        model=job.model,
        created_at_ms=job.now_ms,
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cached_tokens=used.cached_tokens,
        reasoning_tokens=used.reasoning_tokens,
        cost_nano=None if used.cost is None else round(used.cost * NANO),
    )


def adopt_replies(tx: Tx, owner_id: str, jobs: Sequence[Adopt]) -> list[int | ConvostoreError]:
    """Store what the far side had kept of broken replies, each as a sibling and the new head.

    Returns:
        For each job the seq at which the conversation now stands.
    """
    return [_adopt(tx, owner_id, job) for job in jobs]


def _adopt(tx: Tx, owner_id: str, job: Adopt) -> int | ConvostoreError:
    at = {"owner_id": owner_id, "conversation_id": job.conversation_id}
    standing = tx.rows(_STAND, **at)
    broken = tx.rows(_REPLY, seq=job.broken_seq, **at)
    if not standing or not broken:
        return no_conversation(job.conversation_id)
    head_seq, last_seq = standing[0]
    if head_seq != job.broken_seq:
        return int(head_seq)  # somebody went on meanwhile: theirs is the newer word
    _, _, parent_seq, role, provider = broken[0]
    seq = int(last_seq) + 1
    above = parent_hash(tx, owner_id, job.conversation_id, parent_seq)
    row = _sibling_row(owner_id, job.conversation_id, seq, job.now_ms)
    tx.run(
        ADD_MESSAGE,
        **row
        | {
            "id": job.id,
            "parent_seq": parent_seq,
            "role": role,
            "status": "completed",
            "text": job.text,
            "parts": job.shape,
            "provider": provider,
            "model": job.model,
            "finish_reason": job.finish_reason,
            "content_hash": content_hash(above, role, job.text, job.shape),
        },
    )
    _advance(tx, owner_id, job.conversation_id, seq, seq)
    if job.remote is not None:
        keep_remote(tx, owner_id, job.conversation_id, seq, job.remote)
    return seq
