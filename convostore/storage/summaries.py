"""Summaries: what stands for the beginning of a conversation in views; the messages stay.

One that is being made has a lease and no text yet. By that two processes make one summary, and what
is forgotten meanwhile takes the row away, so that a summary of it finds no place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, delete, exists, select, update

from convostore.overlay import Summary
from convostore.records import Usage
from convostore.storage.calls import KEEP_CALL, cost_columns
from convostore.storage.leases import is_dead, token_of
from convostore.storage.scrub_note import owe_scrub
from convostore.storage.standing import no_conversation
from convostore.storage.statements import Hot, upsert
from convostore.storage.tables import conversation, message, summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convostore.errors import ConversationNotFoundError
    from convostore.storage.database import Database
    from convostore.storage.statements import Tx

NO_MESSAGE = 0  # what a model call belongs to in `usage` that no reply came of


class ClaimSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Begin to make a summary of the messages up to one.

    Attributes:
        lease: whose it is while it is made.
    """

    conversation_id: str
    message_seq: int
    lease: str
    now_ms: int


class FinishSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Store a summary that was begun, and what it cost.

    Attributes:
        text: None where none was made: then the claim is given back.
        call_id: of the row in `usage`; None where nobody was asked.
    """

    conversation_id: str
    message_seq: int
    lease: str
    now_ms: int
    text: str | None = None
    call_id: str | None = None
    provider: str | None = None
    model: str | None = None
    usage: Usage | None = None


class DropSummaries(msgspec.Struct, frozen=True, kw_only=True):
    """Take a conversation's summaries away."""

    conversation_id: str


_IN_CONVERSATION = (
    summary.c.owner_id == bindparam("owner_id"),
    summary.c.conversation_id == bindparam("conversation_id"),
)
_OURS = (
    summary.c.owner_id == bindparam("of_owner_id"),
    summary.c.conversation_id == bindparam("of_conversation_id"),
    summary.c.message_seq == bindparam("of_seq"),
    summary.c.lease == bindparam("of_lease"),
    summary.c.text.is_(None),
)
# Held before it is looked who makes one: whoever comes second sees the first one's row.
_HELD = Hot(
    select(conversation.c.id)
    .where(
        conversation.c.owner_id == bindparam("owner_id"),
        conversation.c.id == bindparam("conversation_id"),
    )
    .with_for_update()
)
_IS_THERE = Hot(
    select(message.c.seq).where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq == bindparam("seq"),
    )
)
_ALL = Hot(select(summary.c.message_seq, summary.c.text, summary.c.lease).where(*_IN_CONVERSATION))
_MADE = Hot(
    select(
        summary.c.message_seq,
        summary.c.text,
        summary.c.provider,
        summary.c.model,
        summary.c.created_at_ms,
    )
    .where(*_IN_CONVERSATION, summary.c.text.is_not(None))
    .order_by(summary.c.message_seq)
)
_CLAIM = Hot(upsert(summary).on_conflict_do_nothing())
_FINISH = Hot(
    update(summary)
    .where(*_OURS)
    .values(
        text=bindparam("text"),
        lease=bindparam("token"),
        provider=bindparam("provider"),
        model=bindparam("model"),
        created_at_ms=bindparam("now_ms"),
    )
)
_GIVE_BACK = Hot(delete(summary).where(*_OURS))
_ONE_GONE = Hot(delete(summary).where(*_IN_CONVERSATION, summary.c.message_seq == bindparam("seq")))
_NOWHERE = Hot(
    select(summary.c.message_seq)
    .where(
        *_IN_CONVERSATION,
        ~exists().where(
            message.c.owner_id == summary.c.owner_id,
            message.c.conversation_id == summary.c.conversation_id,
            message.c.seq == summary.c.message_seq,
        ),
    )
    .order_by(summary.c.message_seq)
)
GONE_SUMMARIES = Hot(delete(summary).where(*_IN_CONVERSATION))


def claim_summaries(
    tx: Tx, owner_id: str, jobs: Sequence[ClaimSummary]
) -> list[bool | ConversationNotFoundError]:
    """Begin each summary; False where there is one, one is being made, or the message is gone."""
    return [_claim(tx, owner_id, job) for job in jobs]


def _claim(tx: Tx, owner_id: str, job: ClaimSummary) -> bool | ConversationNotFoundError:
    at = {"owner_id": owner_id, "conversation_id": job.conversation_id}
    if not tx.rows(_HELD, **at):
        return no_conversation(tx, owner_id, job.conversation_id)
    for seq, text, lease in tx.rows(_ALL, **at):
        if lease == job.lease:
            return True  # an earlier try of this write, whose answer was lost
        if text is None and is_dead(lease, job.now_ms):
            tx.run(_ONE_GONE, **at, seq=seq)
        elif text is None or seq == job.message_seq:
            return False
    if not tx.rows(_IS_THERE, **at, seq=job.message_seq):
        return False
    empty: dict[str, Any] = {"text": None, "provider": None, "model": None}
    row = {**at, **empty, "message_seq": job.message_seq, "lease": job.lease}
    tx.run(_CLAIM, **row, created_at_ms=job.now_ms)
    return True


def finish_summaries(tx: Tx, owner_id: str, jobs: Sequence[FinishSummary]) -> list[bool]:
    """Store each summary, or give its claim back; False where the claim is gone by now."""
    return [_finish(tx, owner_id, job) for job in jobs]


def _finish(tx: Tx, owner_id: str, job: FinishSummary) -> bool:
    if job.call_id is not None:
        tx.run(KEEP_CALL, **_call(owner_id, job.call_id, job))
    at = {"owner_id": owner_id, "conversation_id": job.conversation_id}
    ours: dict[str, Any] = {"of_owner_id": owner_id, "of_conversation_id": job.conversation_id}
    ours |= {"of_seq": job.message_seq, "of_lease": job.lease}
    if job.text is None:
        return bool(tx.run(_GIVE_BACK, **ours))
    token = token_of(job.lease)
    if any(row[0] == job.message_seq and row[2] == token for row in tx.rows(_ALL, **at)):
        return True
    made = {"text": job.text, "provider": job.provider, "model": job.model, "now_ms": job.now_ms}
    return bool(tx.run(_FINISH, **ours, **made, token=token))


def _call(owner_id: str, call_id: str, job: FinishSummary) -> dict[str, Any]:
    return {
        "owner_id": owner_id,
        "id": call_id,
        "conversation_id": job.conversation_id,
        "message_seq": NO_MESSAGE,
        "provider": job.provider,
        "model": job.model,
        "created_at_ms": job.now_ms,
        **cost_columns(job.usage or Usage()),
    }


def drop_summaries(
    tx: Tx, owner_id: str, jobs: Sequence[DropSummaries]
) -> list[bool | ConversationNotFoundError]:
    """Take away all summaries of each conversation, and those that are being made."""
    return [_drop(tx, owner_id, job) for job in jobs]


def _drop(tx: Tx, owner_id: str, job: DropSummaries) -> bool | ConversationNotFoundError:
    at = {"owner_id": owner_id, "conversation_id": job.conversation_id}
    if not tx.rows(_HELD, **at):
        return no_conversation(tx, owner_id, job.conversation_id)
    if tx.run(GONE_SUMMARIES, **at):
        owe_scrub(tx)
    return True


def look_at_summaries(tx: Tx, at: dict[str, str]) -> Iterator[str]:
    """Yield which summaries of a conversation end at no message of it."""
    for (seq,) in tx.rows(_NOWHERE, **at):
        yield f"summary up to message {seq}: that message is gone"


async def summaries(database: Database, owner_id: str, conversation_id: str) -> tuple[Summary, ...]:
    """Read a conversation's summaries, by the messages at which they end.

    Raises:
        StoreError: the store cannot be read.
    """
    rows = await database.read(_MADE, owner_id=owner_id, conversation_id=conversation_id)
    return tuple(
        Summary(message_seq=seq, text=text, provider=provider, model=model, created_at_ms=made_ms)
        for seq, text, provider, model, made_ms in rows
    )
