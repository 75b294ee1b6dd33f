"""Write 1 of a turn: the question, the empty reply, the head.

Each function takes a list of jobs: it reads all it needs, decides in Python, then writes. A
conflict is returned before the job's first row changes, so it needs no rollback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from convostore.errors import ConvostoreError, MessageNotFoundError
from convostore.storage.attachments import refer, refuse_missing
from convostore.storage.canonical import to_json
from convostore.storage.exchanges import (
    AT_HEAD,
    BeginTurn,
    Begun,
    KnownKey,
    Outdated,
)
from convostore.storage.leases import is_dead
from convostore.storage.retold import stored_before
from convostore.storage.search_marks import add_messages
from convostore.storage.standing import (
    Adding,
    Standing,
    head_moved,
    keep_standings,
    no_conversation,
    refuse_running,
    standings,
)
from convostore.storage.statements import Hot, Tx, one_of
from convostore.storage.tables import message

if TYPE_CHECKING:
    from collections.abc import Sequence


_BY_KEY = Hot(
    select(
        message.c.idempotency_key, message.c.conversation_id, message.c.seq, message.c.text
    ).where(message.c.owner_id == bindparam("owner_id"), one_of(message.c.idempotency_key, "keys"))
)


_QUESTION = Hot(
    select(message.c.text).where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq == bindparam("seq"),
    )
)
_ANSWERS = Hot(
    select(message.c.status, message.c.lease, message.c.text, message.c.parts).where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq > bindparam("seq"),  # answers come later: the key serves the search
        message.c.parent_seq == bindparam("seq"),
        message.c.role == "assistant",  # others may have asked right below what was appended
    )
)


def begin_turns(
    tx: Tx, owner_id: str, jobs: Sequence[BeginTurn]
) -> list[Begun | KnownKey | Outdated | ConvostoreError]:
    """Store each turn's question and its empty reply, and move the head."""
    standing = standings(tx, owner_id, [job.conversation_id for job in jobs])
    known = _known_keys(tx, owner_id, jobs)
    outcomes: list[Begun | KnownKey | Outdated | ConvostoreError] = []
    rows: list[dict[str, Any]] = []
    again: set[tuple[str, int | None]] = set()  # questions that this group asks again
    for job in jobs:
        stands = standing.get(job.conversation_id)
        key = job.user.idempotency_key if job.user else None
        if stands is not None and (begun := stored_before(tx, owner_id, job, stands)):
            outcomes.append(begun)
        elif key in known:
            outcomes.append(known[key])
        elif stands is None:
            outcomes.append(no_conversation(tx, owner_id, job.conversation_id))
        elif _is_answered(tx, owner_id, job, again):
            outcomes.append(_question(tx, owner_id, job))
        else:
            outcome = _begin(tx, owner_id, job, stands, rows)
            outcomes.append(outcome)
            if job.user is None:
                again.add((job.conversation_id, job.below_seq))
            if key is not None and job.user is not None and isinstance(outcome, Begun):
                known[key] = KnownKey(
                    conversation_id=job.conversation_id,
                    user_seq=outcome.user_seq,
                    text=job.user.text,
                )
    add_messages(tx, rows)
    _refer(tx, owner_id, jobs, outcomes)
    keep_standings(tx, owner_id, standing.values())
    return outcomes


def _refer(tx: Tx, owner_id: str, jobs: Sequence[BeginTurn], outcomes: Sequence[object]) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        if job.user is not None and isinstance(outcome, Begun):
            refer(tx, owner_id, job.conversation_id, outcome.user_seq, job.user.attachments)


def _known_keys(tx: Tx, owner_id: str, jobs: Sequence[BeginTurn]) -> dict[str | None, KnownKey]:
    keys = [job.user.idempotency_key for job in jobs if job.user and job.user.idempotency_key]
    if not keys:
        return {}
    return {
        key: KnownKey(conversation_id=conversation_id, user_seq=seq, text=text)
        for key, conversation_id, seq, text in tx.rows(
            _BY_KEY, owner_id=owner_id, keys=to_json(keys)
        )
    }


def _is_answered(tx: Tx, owner_id: str, job: BeginTurn, again: set[tuple[str, int | None]]) -> bool:
    """Tell whether the question of a job that only repeats it is answered, or is being answered.

    An answer that was forgotten is one: it is not to come back in other words.
    """
    if job.user is not None or job.again:
        return False
    if (job.conversation_id, job.below_seq) in again:
        return True
    for status, lease, text, shape in tx.rows(
        _ANSWERS, owner_id=owner_id, conversation_id=job.conversation_id, seq=job.below_seq
    ):
        lives = status == "streaming" and not is_dead(lease, job.now_ms)
        if lives or status in {"completed", "erased"} or (status == "stopped" and (text or shape)):
            return True
    return False


def _is_there(tx: Tx, owner_id: str, job: BeginTurn, seq: int | None) -> bool:
    return bool(tx.rows(_QUESTION, owner_id=owner_id, conversation_id=job.conversation_id, seq=seq))


def _question(tx: Tx, owner_id: str, job: BeginTurn) -> KnownKey | ConvostoreError:
    found = tx.rows(
        _QUESTION, owner_id=owner_id, conversation_id=job.conversation_id, seq=job.below_seq
    )
    if not found:
        return MessageNotFoundError("there is no message to answer")
    return KnownKey(
        conversation_id=job.conversation_id, user_seq=job.below_seq or 0, text=found[0][0]
    )


def _begin(
    tx: Tx, owner_id: str, job: BeginTurn, stands: Standing, rows: list[dict[str, Any]]
) -> Begun | Outdated | ConvostoreError:
    if job.as_of not in {None, stands.last_seq}:
        return Outdated()
    moved = stands.head_seq != job.head_seq
    if moved and job.on_moved == "error":
        return head_moved()
    parent_seq = job.below_seq
    if parent_seq == AT_HEAD:
        parent_seq = stands.head_seq if moved and job.on_moved == "follow" else job.head_seq
    if conflict := refuse_running(
        tx,
        owner_id,
        stands,
        parent_seq=parent_seq,
        now_ms=job.now_ms,
        one_at_a_time=job.one_at_a_time,
    ) or refuse_missing(tx, owner_id, job.user.attachments if job.user else ()):
        return conflict
    if parent_seq not in stands.ids and not _is_there(tx, owner_id, job, parent_seq):
        return MessageNotFoundError(
            "the message to go on from was removed meanwhile", hint="read it again with resume()"
        )
    branched = moved and job.on_moved == "branch"
    add = Adding(tx, owner_id, stands, now_ms=job.now_ms, rows=rows)
    user_seq = parent_seq if job.user is None else add.message(job.user, parent_seq)
    if user_seq is None:
        return MessageNotFoundError("there is no message to answer")
    reply_seq = add.message(job.reply, user_seq)
    stands.running[reply_seq] = job.reply.lease
    add.advance(stands.head_seq if branched else reply_seq, 1 if job.user is None else 2, job.title)
    stands.provider, stands.model = job.reply.provider, job.model
    return Begun(
        parent_seq=parent_seq,
        user_seq=user_seq,
        reply_seq=reply_seq,
        branched=branched,
        user_hash=stands.hashes.get(user_seq),
        change=stands.change(),
    )
