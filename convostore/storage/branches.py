"""Where a conversation stands, moved by hand; and branches taken out of it for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, select, update

from convostore.errors import ConversationBusyError, ConvostoreError, MessageNotFoundError
from convostore.storage.exchanges import Change
from convostore.storage.journal import close_dead
from convostore.storage.leases import is_dead
from convostore.storage.removal import remove_messages
from convostore.storage.standing import (
    Standing,
    head_moved,
    keep_standings,
    no_conversation,
    standings,
)
from convostore.storage.statements import Hot
from convostore.storage.tables import conversation, message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.storage.statements import Tx


class MoveHead(msgspec.Struct, frozen=True, kw_only=True):
    """Let a conversation stand at another of its messages.

    Attributes:
        head_seq: where; what is already below it stays. None is before the first message.
    """

    conversation_id: str
    head_seq: int | None


class StepBack(msgspec.Struct, frozen=True, kw_only=True):
    """Let a conversation stand at the message above the one at which it stands.

    Attributes:
        head_seq: where it stands, as the caller knows it; standing elsewhere it stays there.
    """

    conversation_id: str
    head_seq: int


class RemoveBranch(msgspec.Struct, frozen=True, kw_only=True):
    """Take a message and all that is below it out of a conversation, for good.

    Attributes:
        message_seq: the uppermost message to go.
        now_ms: to tell which running replies are dead.
    """

    conversation_id: str
    message_seq: int
    now_ms: int


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """A branch is gone.

    Attributes:
        seqs: the messages that went.
        change: what became of the conversation.
    """

    seqs: frozenset[int]
    change: Change


_IN_CONVERSATION = (
    message.c.owner_id == bindparam("owner_id"),
    message.c.conversation_id == bindparam("conversation_id"),
)
_ONE = Hot(select(message.c.parent_seq).where(*_IN_CONVERSATION, message.c.seq == bindparam("seq")))
_FROM = Hot(
    select(message.c.seq, message.c.parent_seq, message.c.status, message.c.lease)
    .where(*_IN_CONVERSATION, message.c.seq >= bindparam("seq"))
    .order_by(message.c.seq)
)
_COUNT = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
    )
    .values(interrupted_count=conversation.c.interrupted_count - bindparam("fewer"))
)


def move_heads(tx: Tx, owner_id: str, jobs: Sequence[MoveHead]) -> list[Change | ConvostoreError]:
    """Move each conversation's head. Its place in lists stays: nothing was said."""
    standing = standings(tx, owner_id, [job.conversation_id for job in jobs])
    outcomes: list[Change | ConvostoreError] = []
    for job in jobs:
        stands = standing.get(job.conversation_id)
        seq, id_ = job.head_seq, job.conversation_id
        if stands is None:
            outcomes.append(no_conversation(tx, owner_id, id_))
        elif seq is not None and not tx.rows(_ONE, owner_id=owner_id, conversation_id=id_, seq=seq):
            outcomes.append(no_message(seq))
        else:
            stands.head_seq, stands.moved = job.head_seq, True
            outcomes.append(stands.change())
    keep_standings(tx, owner_id, standing.values())
    return outcomes


def step_back(tx: Tx, owner_id: str, jobs: Sequence[StepBack]) -> list[Change | ConvostoreError]:
    """Move each conversation's head to the message above it.

    Of a message only one caller is told that the head has left it.
    """
    left: set[tuple[str, int]] = set()
    outcomes: list[Change | ConvostoreError] = []
    for job in jobs:
        place = (job.conversation_id, job.head_seq)
        outcomes.append(head_moved() if place in left else _step_back(tx, owner_id, job))
        left.add(place)
    return outcomes


def _step_back(tx: Tx, owner_id: str, job: StepBack) -> Change | ConvostoreError:
    stands = standings(tx, owner_id, [job.conversation_id]).get(job.conversation_id)
    if stands is None:
        return no_conversation(tx, owner_id, job.conversation_id)
    at = {"conversation_id": job.conversation_id, "seq": job.head_seq}
    found = tx.rows(_ONE, owner_id=owner_id, **at)
    above = found[0][0] if found else None
    if found and stands.head_seq == job.head_seq:
        stands.head_seq, stands.moved = above, True
        keep_standings(tx, owner_id, [stands])
    elif not (tx.again and found and stands.head_seq == above):  # done by an earlier try, likely
        return head_moved()
    return stands.change()


def remove_branches(
    tx: Tx, owner_id: str, jobs: Sequence[RemoveBranch]
) -> list[Removed | ConvostoreError]:
    """Remove each branch: messages, journals, remote threads. What was paid for it stays counted.

    Where the conversation stood on the branch, it then stands at the newest leaf beside it, else
    at the message above it.
    """
    return [_remove(tx, owner_id, job) for job in jobs]


def _remove(tx: Tx, owner_id: str, job: RemoveBranch) -> Removed | ConvostoreError:
    stands = standings(tx, owner_id, [job.conversation_id]).get(job.conversation_id)
    if stands is None:
        return no_conversation(tx, owner_id, job.conversation_id)
    at = {"owner_id": owner_id, "conversation_id": job.conversation_id}
    rows = tx.rows(_FROM, **at, seq=job.message_seq)
    if not rows or rows[0][0] != job.message_seq:
        if tx.again:  # gone by an earlier try of this same write, most likely
            return Removed(seqs=frozenset(), change=stands.change())
        return no_message(job.message_seq)
    doomed = {job.message_seq}
    for seq, parent_seq, _, _ in rows[1:]:  # parents have the lower number
        if parent_seq in doomed:
            doomed.add(seq)
    gone = [row for row in rows if row[0] in doomed]
    if any(
        status == "streaming" and not is_dead(lease, job.now_ms) for _, _, status, lease in gone
    ):
        return ConversationBusyError(
            "a reply of this branch is still running", hint="wait until it has ended, or stop it"
        )
    dead = [row[0] for row in gone if row[2] == "streaming"]
    close_dead(tx, owner_id, job.conversation_id, dead, job.now_ms)
    remove_messages(tx, owner_id, job.conversation_id, doomed)
    _leave(tx, owner_id, stands, gone)
    return Removed(seqs=frozenset(doomed), change=stands.change())


def _leave(
    tx: Tx, owner_id: str, stands: Standing, gone: list[tuple[int, int | None, str, str]]
) -> None:
    """Count what is left, and stand somewhere that is still there."""
    stands.message_count -= len(gone)
    stands.last_seq += 1  # by which others see that what they know of it is old
    stands.moved = True
    if stands.head_seq in {row[0] for row in gone}:
        stands.head_seq = _beside(tx, owner_id, stands.conversation_id, gone[0][1])
    keep_standings(tx, owner_id, [stands])
    # Those that were running have just been closed.
    if fewer := sum(status in {"interrupted", "streaming"} for _, _, status, _ in gone):
        tx.run(_COUNT, of_owner_id=owner_id, of_id=stands.conversation_id, fewer=fewer)


def _beside(tx: Tx, owner_id: str, conversation_id: str, above_seq: int | None) -> int | None:
    """Return the newest message below the parent of what is gone, itself where none is left."""
    at = {"owner_id": owner_id, "conversation_id": conversation_id}
    reached = {above_seq}
    newest = above_seq
    for seq, parent_seq, _, _ in tx.rows(_FROM, **at, seq=(above_seq or 0) + 1):
        if parent_seq in reached:
            reached.add(seq)
            newest = seq
    return newest


def no_message(number: int) -> MessageNotFoundError:
    """Return the error for a message that a conversation does not have."""
    return MessageNotFoundError(
        f"this conversation has no message {number}", hint="convostore tree REF shows them all"
    )
