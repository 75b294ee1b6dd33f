"""Appending finished messages, for callers who talk to the model themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, select

from convostore.errors import ConvostoreError, DuplicateKeyError, MessageNotFoundError
from convostore.storage.attachments import refer, refuse_missing
from convostore.storage.canonical import to_json
from convostore.storage.exchanges import Change, NewMessage
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

ANY_HEAD = -1  # an append that goes on wherever the conversation stands


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """Finished messages to be stored one after the other.

    Attributes:
        head_seq: where the conversation must stand; ANY_HEAD goes on wherever it does.
    """

    conversation_id: str
    messages: tuple[NewMessage, ...]
    now_ms: int
    head_seq: int | None = ANY_HEAD
    title: str | None = None


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """Finished messages are on disk.

    Attributes:
        seqs: of the messages, in the order given.
        hashes: their content hashes, likewise.
        parent_seq: the message that the first one stands below.
        parent_id: its id.
        conversation_id: where an earlier try had stored them all.
        change: what became of the conversation; None when one had.
    """

    seqs: tuple[int, ...]
    hashes: tuple[str | None, ...] = ()
    parent_seq: int | None = None
    parent_id: str | None = None
    conversation_id: str | None = None
    change: Change | None = None


_BY_ID = Hot(
    select(message.c.id, message.c.conversation_id, message.c.seq, message.c.text).where(
        message.c.owner_id == bindparam("owner_id"), one_of(message.c.id, "ids")
    )
)


_BY_KEY = Hot(
    select(message.c.idempotency_key, message.c.conversation_id, message.c.seq).where(
        message.c.owner_id == bindparam("owner_id"), one_of(message.c.idempotency_key, "keys")
    )
)
_ROWS = Hot(
    select(message.c.seq, message.c.role, message.c.text, message.c.status)
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq >= bindparam("first"),
        message.c.seq <= bindparam("last"),
    )
    .order_by(message.c.seq)
)


def append_messages(
    tx: Tx, owner_id: str, jobs: Sequence[Append]
) -> list[Appended | ConvostoreError]:
    """Store finished messages and move the head.

    Message ids are the caller's: an append that is repeated finds its messages stored and
    returns the same seqs. So does one with new ids, by an idempotency key.
    """
    keys = [new.idempotency_key for job in jobs for new in job.messages if new.idempotency_key]
    if len(set(keys)) < len(keys) and len(jobs) > 1:  # a repeat has to see what the first one did
        return [outcome for job in jobs for outcome in append_messages(tx, owner_id, [job])]
    taken = _taken(tx, owner_id, keys)
    standing = standings(tx, owner_id, [job.conversation_id for job in jobs])
    ids = [new.id for job in jobs for new in job.messages]
    known = {
        id_: (conversation_id, seq, text)
        for id_, conversation_id, seq, text in tx.rows(_BY_ID, owner_id=owner_id, ids=to_json(ids))
    }
    outcomes: list[Appended | ConvostoreError] = []
    rows: list[dict[str, Any]] = []
    for job in jobs:
        stands = standing.get(job.conversation_id)
        if stands is None:
            outcomes.append(no_conversation(tx, owner_id, job.conversation_id))
        elif any(new.id in known for new in job.messages):
            outcomes.append(_stored_before(job, known))
        elif len({new.id for new in job.messages}) < len(job.messages):
            outcomes.append(_twice())
        elif any(new.idempotency_key in taken for new in job.messages):
            outcomes.append(_repeated(tx, owner_id, job, taken))
        elif _has_a_key_twice(job):
            outcomes.append(_other_text())
        else:
            outcome = _append(tx, owner_id, job, stands, rows)
            outcomes.append(outcome)
            if isinstance(outcome, Appended):
                for new, seq in zip(job.messages, outcome.seqs, strict=True):
                    known[new.id] = (job.conversation_id, seq, new.text)
    add_messages(tx, rows)
    _refer(tx, owner_id, jobs, outcomes)
    keep_standings(tx, owner_id, standing.values())
    return outcomes


def _refer(
    tx: Tx,
    owner_id: str,
    jobs: Sequence[Append],
    outcomes: Sequence[Appended | ConvostoreError],
) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        if isinstance(outcome, Appended) and outcome.change is not None:
            for new, seq in zip(job.messages, outcome.seqs, strict=True):
                refer(tx, owner_id, job.conversation_id, seq, new.attachments)


def _stored_before(
    job: Append, known: dict[str, tuple[str, int, str]]
) -> Appended | ConvostoreError:
    found = [known.get(new.id) for new in job.messages]
    same = all(
        at is not None and at[0] == job.conversation_id and at[2] == new.text
        for at, new in zip(found, job.messages, strict=True)
    )
    if same:
        return Appended(seqs=tuple(at[1] for at in found if at is not None))
    return _twice()


def _taken(tx: Tx, owner_id: str, keys: Sequence[str]) -> dict[str | None, tuple[str, int]]:
    """Return where the messages of known idempotency keys are."""
    if not keys:
        return {}
    rows = tx.rows(_BY_KEY, owner_id=owner_id, keys=to_json(list(keys)))
    return {key: (conversation_id, seq) for key, conversation_id, seq in rows}


def _has_a_key_twice(job: Append) -> bool:
    keys = [new.idempotency_key for new in job.messages if new.idempotency_key]
    return len(set(keys)) < len(keys)


def _repeated(
    tx: Tx, owner_id: str, job: Append, taken: dict[str | None, tuple[str, int]]
) -> Appended | ConvostoreError:
    """Return where an append with a known key is stored; it was stored whole, one seq after another."""
    at, (conversation_id, seq) = next(
        (at, taken[new.idempotency_key])
        for at, new in enumerate(job.messages)
        if new.idempotency_key in taken
    )
    first, last = seq - at, seq - at + len(job.messages) - 1
    found = tx.rows(
        _ROWS, owner_id=owner_id, conversation_id=conversation_id, first=first, last=last
    )
    wanted = [(first + at, new.role, new.text) for at, new in enumerate(job.messages)]
    if forgotten := [row[0] for row in found if row[3] == "erased"]:
        return MessageNotFoundError(
            f"message {forgotten[0]}, stored with this key, was erased on request",
            hint="to store it again, make a new key",
        )
    if [tuple(row[:3]) for row in found] == wanted:
        return Appended(seqs=tuple(range(first, last + 1)), conversation_id=conversation_id)
    return _other_text()


def _other_text() -> DuplicateKeyError:
    return DuplicateKeyError(
        "the idempotency key belongs to another text",
        hint="make a new key for each append",
    )


def _twice() -> DuplicateKeyError:
    return DuplicateKeyError(
        "a message with the same id is stored already, with other content or elsewhere",
        hint="make a new message (Message.user, Message.assistant) for each append",
    )


def _append(
    tx: Tx, owner_id: str, job: Append, stands: Standing, rows: list[dict[str, Any]]
) -> Appended | ConvostoreError:
    above = stands.head_seq
    if job.head_seq not in {ANY_HEAD, above}:
        return head_moved()
    if conflict := refuse_running(
        tx, owner_id, stands, parent_seq=above, now_ms=job.now_ms, one_at_a_time=False
    ):
        return conflict
    wanted = [name for new in job.messages for name in new.attachments]
    if missing := refuse_missing(tx, owner_id, wanted):
        return missing
    add = Adding(tx, owner_id, stands, now_ms=job.now_ms, rows=rows)
    seqs: list[int] = []
    for new in job.messages:
        seqs.append(add.message(new, seqs[-1] if seqs else above))
    add.advance(seqs[-1] if seqs else above, len(seqs), job.title)
    return Appended(
        seqs=tuple(seqs),
        hashes=tuple(stands.hashes[seq] for seq in seqs),
        parent_seq=above,
        parent_id=stands.ids.get(above),
        change=stands.change(),
    )
