"""Emptying one message on request: what it said goes, and it stays where it was in the tree.

Its id, parent and content hash stay, so that what hangs below it still follows; so does its
idempotency key, so that a repeat does not ask again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, null, select, update

from convostore.errors import ConversationBusyError
from convostore.storage.attachments import let_go
from convostore.storage.branches import no_message
from convostore.storage.exchanges import Change
from convostore.storage.journal import clear_journals, close_dead, count_interrupted
from convostore.storage.leases import is_dead
from convostore.storage.removal import GONE_ORIGINAL, GONE_REMOTE
from convostore.storage.scrub_note import owe_scrub
from convostore.storage.search_shelf import take_out
from convostore.storage.standing import keep_standings, no_conversation, standings
from convostore.storage.statements import Hot
from convostore.storage.tables import message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.errors import ConvostoreError
    from convostore.storage.standing import Standing
    from convostore.storage.statements import Row, Tx


class Forget(msgspec.Struct, frozen=True, kw_only=True):
    """Empty a message.

    Attributes:
        now_ms: to tell whether the writer of a running reply is dead.
    """

    conversation_id: str
    message_seq: int
    now_ms: int


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """A message is empty now.

    Attributes:
        change: what became of the conversation.
        changed: it was not empty before.
    """

    change: Change
    changed: bool


_FROM = Hot(
    select(
        message.c.seq,
        message.c.parent_seq,
        message.c.status,
        message.c.lease,
        message.c.role,
    )
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq >= bindparam("seq"),
    )
    .order_by(message.c.seq)
)
_TEXT = Hot(
    select(message.c.text).where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq == bindparam("seq"),
    )
)
_EMPTY = Hot(
    update(message)
    .where(
        message.c.owner_id == bindparam("of_owner_id"),
        message.c.conversation_id == bindparam("of_conversation_id"),
        message.c.seq == bindparam("of_seq"),
    )
    .values(status="erased", text="", parts=null(), author=null(), error=null(), lease=null())
)


def forget_messages(
    tx: Tx, owner_id: str, jobs: Sequence[Forget]
) -> list[Forgotten | ConvostoreError]:
    """Empty each message: text, parts, author, error, journal, attachments, search words, original.

    What the far side knows of it and of all that follows it is not gone on with: its next turn
    tells it the conversation anew, without what was forgotten.
    """
    return [_forget(tx, owner_id, job) for job in jobs]


def _forget(tx: Tx, owner_id: str, job: Forget) -> Forgotten | ConvostoreError:
    id_, seq = job.conversation_id, job.message_seq
    stands = standings(tx, owner_id, [id_]).get(id_)
    if stands is None:
        return no_conversation(tx, owner_id, id_)
    at = {"owner_id": owner_id, "conversation_id": id_}
    below = tx.rows(_FROM, **at, seq=seq)
    if not below or below[0][0] != seq:
        return no_message(seq)
    _, _, status, _, role = below[0]
    if status == "erased":
        return Forgotten(change=stands.change(), changed=tx.again)
    follows = _following(below)
    # Whoever writes below it has told the far side, and notes at the end where that goes on.
    running = [one for one in below if one[0] in follows and one[2] == "streaming"]
    if any(not is_dead(lease, job.now_ms) for _, _, _, lease, _ in running):
        return ConversationBusyError(
            "a reply that has it, or is it, is still being written",
            hint="wait until it has ended, or stop it",
        )
    close_dead(tx, owner_id, id_, [one for one, *_ in running], job.now_ms)
    _drop_title(stands, tx.rows(_TEXT, **at, seq=seq)[0][0] if role == "user" else "")
    _empty(tx, owner_id, id_, seq)
    tx.many(GONE_REMOTE, [{**at, "seq": one} for one in sorted(follows)])
    if status in {"interrupted", "streaming"}:  # that one has just been closed
        count_interrupted(tx, owner_id, id_, -1)
    stands.last_seq += 1  # by which others see that what they know of it is old
    stands.moved = True
    keep_standings(tx, owner_id, [stands])
    owe_scrub(tx)
    return Forgotten(change=stands.change(), changed=True)


def _following(rows: Sequence[Row]) -> set[int]:
    """Return the numbers of the first message of *rows* and of all that hangs below it."""
    follows = {rows[0][0]}
    for one, parent_seq, *_ in rows[1:]:  # parents have the lower number
        if parent_seq in follows:
            follows.add(one)
    return follows


def _empty(tx: Tx, owner_id: str, conversation_id: str, seq: int) -> None:
    take_out(tx, owner_id, [(conversation_id, seq)])
    clear_journals(tx, owner_id, [(conversation_id, seq)])
    let_go(tx, owner_id, conversation_id, [seq])
    tx.run(GONE_ORIGINAL, owner_id=owner_id, conversation_id=conversation_id, seq=seq)
    tx.run(_EMPTY, of_owner_id=owner_id, of_conversation_id=conversation_id, of_seq=seq)


def _drop_title(stands: Standing, text: str) -> None:
    """Take away a title that was made of this very text; one that somebody chose stays."""
    if stands.title is None or stands.title_source != "fallback":
        return
    words = " ".join(text.split())
    if stands.title.removesuffix("…") in words:
        stands.title = stands.title_source = None
