"""Emptying all that one person has said in a conversation, and what they alone were answered.

A reply is theirs where everybody's question that it answers is theirs. Where nobody else has asked
anything, the whole conversation goes: its name, its title and its notes are about them, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, select, tuple_

from convostore.errors import ConvostoreError
from convostore.storage.forgetting import empty, nodes
from convostore.storage.purging import Purge, purge_conversations
from convostore.storage.standing import standing_of
from convostore.storage.statements import Hot
from convostore.storage.tables import message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.storage.forgetting import Node
    from convostore.storage.statements import Tx


class ForgetSaid(msgspec.Struct, frozen=True, kw_only=True):
    """Empty what somebody has said in a conversation.

    Attributes:
        seqs: messages of theirs.
        trial: only say what would go.
        now_ms: to tell whether the writer of a running reply is dead.
    """

    conversation_id: str
    seqs: tuple[int, ...]
    author_id: str
    now_ms: int
    trial: bool = False


class SaidForgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has said in a conversation is gone.

    Attributes:
        messages: how many went, the answers included.
        purged: the whole conversation did.
    """

    messages: int = 0
    purged: bool = False


SAID_BY = Hot(
    select(message.c.conversation_id, message.c.seq)
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.author_id == bindparam("author_id"),
        tuple_(message.c.conversation_id, message.c.seq)
        > tuple_(bindparam("after_id"), bindparam("after_seq")),
    )
    .order_by(message.c.conversation_id, message.c.seq)
    .limit(bindparam("most"))
)


def forget_said(
    tx: Tx, owner_id: str, jobs: Sequence[ForgetSaid]
) -> list[SaidForgotten | ConvostoreError]:
    """Empty the messages and their answers, idempotency keys included, in the bin as elsewhere.

    One of which a reply is being written, that would know of them, stays as it is. Run again, a job
    finds nothing left to do.
    """
    return [_forget(tx, owner_id, job) for job in jobs]


def _forget(tx: Tx, owner_id: str, job: ForgetSaid) -> SaidForgotten | ConvostoreError:
    id_ = job.conversation_id
    stands = standing_of(tx, owner_id, id_)
    if stands is None:
        return SaidForgotten()
    rows = nodes(tx, owner_id, id_, 0)
    if _is_alone(rows, job.author_id) and job.trial:
        return SaidForgotten(messages=stands.message_count, purged=True)
    if _is_alone(rows, job.author_id):
        (gone,) = purge_conversations(tx, owner_id, [Purge(conversation_id=id_, now_ms=job.now_ms)])
        if isinstance(gone, ConvostoreError):
            return gone
        return SaidForgotten(messages=gone.messages, purged=True)
    said = set(job.seqs)
    theirs = {one.seq for one in rows if one.author_id == job.author_id and one.seq in said}
    seqs = theirs | _answers(rows, theirs, job.author_id)
    if job.trial or not seqs:
        return SaidForgotten(messages=len(seqs))
    refused = empty(tx, owner_id, stands, rows, seqs, now_ms=job.now_ms, whole=True)
    return refused or SaidForgotten(messages=len(seqs))


def _is_alone(rows: Sequence[Node], author_id: str) -> bool:
    """Tell whether nobody else has asked anything."""
    asked = [one.author_id for one in rows if one.role == "user" and one.status != "erased"]
    return set(asked) == {author_id}


def _answers(rows: Sequence[Node], theirs: set[int], author_id: str) -> set[int]:
    """Return the answers to the questions *theirs*, but for those that answer somebody else, too."""
    shared: dict[int, bool] = {}  # of the questions, whether somebody else has asked along
    asked: set[int] = set()
    others = {
        one.seq
        for one in rows
        if one.role == "user" and one.status != "erased" and one.author_id != author_id
    }
    for one in rows:  # parents have the lower number
        above = one.parent_seq or 0
        if one.role == "user":
            shared[one.seq] = above in others or shared.get(above, False)
            if one.seq in theirs and not shared[one.seq]:
                asked.add(one.seq)
    found: set[int] = set()
    for one in rows:
        answers = one.parent_seq in asked or one.parent_seq in found
        if answers and one.role not in {"user", "system"} and one.status != "erased":
            found.add(one.seq)
    return found
