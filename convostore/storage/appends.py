"""Appending finished messages, for callers who talk to the model themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, select

from convostore.errors import ConvostoreError, DuplicateKeyError
from convostore.storage.rows import to_json
from convostore.storage.standing import (
    ADD_MESSAGE,
    Adding,
    NewMessage,
    Standing,
    head_moved,
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


_BY_ID = Hot(
    select(message.c.id, message.c.conversation_id, message.c.seq, message.c.text).where(
        message.c.owner_id == bindparam("owner_id"), one_of(message.c.id, "ids")
    )
)


def append_messages(
    tx: Tx, owner_id: str, jobs: Sequence[Append]
) -> list[tuple[int, ...] | ConvostoreError]:
    """Store finished messages and move the head; return their seqs.

    Message ids are the caller's: an append that is repeated finds its messages stored and
    returns the same seqs.
    """
    standing = standings(tx, owner_id, [job.conversation_id for job in jobs])
    ids = [new.id for job in jobs for new in job.messages]
    known = {
        id_: (conversation_id, seq, text)
        for id_, conversation_id, seq, text in tx.rows(_BY_ID, owner_id=owner_id, ids=to_json(ids))
    }
    outcomes: list[tuple[int, ...] | ConvostoreError] = []
    rows: list[dict[str, Any]] = []
    for job in jobs:
        stands = standing.get(job.conversation_id)
        if stands is None:
            outcomes.append(no_conversation(job.conversation_id))
        elif any(new.id in known for new in job.messages):
            outcomes.append(_stored_before(job, known))
        elif len({new.id for new in job.messages}) < len(job.messages):
            outcomes.append(_twice())
        else:
            outcome = _append(tx, owner_id, job, stands, rows)
            outcomes.append(outcome)
            if isinstance(outcome, tuple):
                for new, seq in zip(job.messages, outcome, strict=True):
                    known[new.id] = (job.conversation_id, seq, new.text)
    tx.many(ADD_MESSAGE, rows)
    return outcomes


def _stored_before(
    job: Append, known: dict[str, tuple[str, int, str]]
) -> tuple[int, ...] | ConvostoreError:
    found = [known.get(new.id) for new in job.messages]
    same = all(
        at is not None and at[0] == job.conversation_id and at[2] == new.text
        for at, new in zip(found, job.messages, strict=True)
    )
    if same:
        return tuple(at[1] for at in found if at is not None)
    return _twice()


def _twice() -> DuplicateKeyError:
    return DuplicateKeyError(
        "a message with the same id is stored already, with other content or elsewhere",
        hint="make a new message (Message.user, Message.assistant) for each append",
    )


def _append(
    tx: Tx, owner_id: str, job: Append, stands: Standing, rows: list[dict[str, Any]]
) -> tuple[int, ...] | ConvostoreError:
    if job.head_seq not in {ANY_HEAD, stands.head_seq}:
        return head_moved()
    if conflict := refuse_running(
        tx, owner_id, stands, parent_seq=stands.head_seq, now_ms=job.now_ms, one_at_a_time=False
    ):
        return conflict
    add = Adding(tx, owner_id, stands, now_ms=job.now_ms, rows=rows)
    seqs = []
    parent_seq = stands.head_seq
    for new in job.messages:
        parent_seq = add.message(new, parent_seq)
        seqs.append(parent_seq)
    add.advance(parent_seq, len(seqs), job.title)
    return tuple(seqs)
