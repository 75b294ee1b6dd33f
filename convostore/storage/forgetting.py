"""Emptying messages on request: what they said goes, and they stay where they were in the tree.

Id, parent and content hash stay, so that what hangs below still follows; so does the idempotency
key, so that a repeat does not ask again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from sqlalchemy import bindparam, null, select, update

from convostore.errors import ConversationBusyError
from convostore.ids import new_token
from convostore.storage.attachments import let_go
from convostore.storage.branches import no_message
from convostore.storage.canonical import to_json
from convostore.storage.checkpoint_forgetting import forget_in_checkpoints
from convostore.storage.exchanges import Change
from convostore.storage.journal import clear_journals, close_dead, count_interrupted
from convostore.storage.leases import is_dead
from convostore.storage.removal import GONE_ORIGINAL, GONE_REMOTE
from convostore.storage.scrub_note import owe_scrub
from convostore.storage.search_shelf import take_out
from convostore.storage.search_tables import TITLE_SEQ
from convostore.storage.standing import keep_standings, no_conversation, standings
from convostore.storage.statements import Hot
from convostore.storage.summaries import GONE_SUMMARIES
from convostore.storage.tables import message

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from convostore.errors import ConvostoreError
    from convostore.storage.standing import Standing
    from convostore.storage.statements import Tx


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


class Node(NamedTuple):
    """Where a message stands, whose it is, and whether somebody writes it."""

    seq: int
    parent_seq: int | None
    status: str
    lease: str | None
    role: str
    author_id: str | None


_PLAIN: Final = 2  # parts of an idempotency key: of which room, and the caller's own; then versions

_FROM = Hot(
    select(*(message.c[name] for name in Node._fields))
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq >= bindparam("seq"),
    )
    .order_by(message.c.seq)
)
_TEXT = Hot(
    select(message.c.text, message.c.idempotency_key).where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq == bindparam("seq"),
    )
)
_empty = (
    update(message)
    .where(
        message.c.owner_id == bindparam("of_owner_id"),
        message.c.conversation_id == bindparam("of_conversation_id"),
        message.c.seq == bindparam("of_seq"),
    )
    .values(
        status="erased",
        text="",
        parts=null(),
        author=null(),
        author_id=null(),
        error=null(),
        lease=null(),
    )
)
_EMPTY = Hot(_empty)
_RENAME = Hot(
    update(message)
    .where(
        message.c.owner_id == bindparam("of_owner_id"),
        message.c.conversation_id == bindparam("of_conversation_id"),
        message.c.seq == bindparam("of_seq"),
    )
    .values(idempotency_key=bindparam("new_key"))
)
_EMPTY_ALL = Hot(_empty.values(idempotency_key=null()))


def forget_messages(
    tx: Tx, owner_id: str, jobs: Sequence[Forget]
) -> list[Forgotten | ConvostoreError]:
    """Empty each message: text, parts, author, error, journal, attachments, search words, original.

    States of a graph that it came from lose it, too.

    What the far side knows of it and of all that follows it is not gone on with: its next turn
    tells it the conversation anew, without what was forgotten.
    """
    return [_forget(tx, owner_id, job) for job in jobs]


def _forget(tx: Tx, owner_id: str, job: Forget) -> Forgotten | ConvostoreError:
    id_, seq = job.conversation_id, job.message_seq
    stands = standings(tx, owner_id, [id_]).get(id_)
    if stands is None:
        return no_conversation(tx, owner_id, id_)
    rows = nodes(tx, owner_id, id_, seq)
    if not rows or rows[0].seq != seq:
        return no_message(seq)
    if rows[0].status == "erased":
        return Forgotten(change=stands.change(), changed=tx.again)
    refused = empty(tx, owner_id, stands, rows, {seq}, now_ms=job.now_ms)
    return refused or Forgotten(change=stands.change(), changed=True)


def nodes(tx: Tx, owner_id: str, conversation_id: str, first_seq: int) -> list[Node]:
    """Read where the messages from one on stand, in order."""
    found = tx.rows(_FROM, **_at(owner_id, conversation_id), seq=first_seq)
    return [Node(*row) for row in found]


def empty(
    tx: Tx,
    owner_id: str,
    stands: Standing,
    rows: Sequence[Node],
    seqs: Collection[int],
    *,
    now_ms: int,
    whole: bool = False,
) -> ConversationBusyError | None:
    """Empty the messages *seqs* of a conversation, none of which is empty yet, and note it in *stands*.

    Args:
        tx: the transaction.
        owner_id: whose.
        stands: the conversation.
        rows: its messages from the first of *seqs* on, or all of them, in order.
        seqs: which; whatever hangs below them is told anew to the far side.
        now_ms: to tell whether the writer of a running reply is dead.
        whole: their idempotency keys go, too, and a title that a model made of them.
    """
    id_ = stands.conversation_id
    follows = _following(rows, seqs)
    # Whoever writes below it has told the far side, and notes at the end where that goes on.
    running = [one for one in rows if one.seq in follows and one.status == "streaming"]
    if any(not is_dead(one.lease, now_ms) for one in running):
        return ConversationBusyError(
            "a reply that has it, or is it, is still being written",
            hint="wait until it has ended, or stop it",
        )
    close_dead(tx, owner_id, id_, [one.seq for one in running], now_ms)
    at = _at(owner_id, id_)
    gone = [one for one in rows if one.seq in seqs]
    found = {one.seq: tx.rows(_TEXT, **at, seq=one.seq)[0] for one in gone}
    said = {seq: text for seq, (text, _) in found.items()}
    for one in gone:
        if one.role == "user":
            _drop_title(stands, said[one.seq])
    if whole and stands.title_source == "generated" and _begins(rows) in seqs:
        take_out(tx, owner_id, [(id_, TITLE_SEQ)])
        stands.title = stands.title_source = None
    forget_in_checkpoints(tx, owner_id, id_, said)
    _empty_rows(tx, owner_id, id_, [one.seq for one in gone], _EMPTY_ALL if whole else _EMPTY)
    if not whole:
        _rename_versions(tx, owner_id, id_, {seq: key for seq, (_, key) in found.items() if key})
    tx.many(GONE_REMOTE, [{**at, "seq": one} for one in sorted(follows)])
    broken = sum(one.status in {"interrupted", "streaming"} for one in gone)  # just closed, too
    if broken:
        count_interrupted(tx, owner_id, id_, -broken)
    stands.last_seq += 1  # by which others see that what they know of it is old
    stands.moved = True
    keep_standings(tx, owner_id, [stands])
    owe_scrub(tx)
    return None


def _at(owner_id: str, conversation_id: str) -> dict[str, str]:
    return {"owner_id": owner_id, "conversation_id": conversation_id}


def _following(rows: Sequence[Node], seqs: Collection[int]) -> set[int]:
    """Return the numbers of *seqs* and of all that hangs below them."""
    follows = set(seqs)
    for one in rows:  # parents have the lower number
        if one.parent_seq in follows:
            follows.add(one.seq)
    return follows


def _begins(rows: Sequence[Node]) -> int:
    """Return the number of the first question, of which a model makes a title."""
    return next((one.seq for one in rows if one.role == "user"), 0)


def _empty_rows(
    tx: Tx, owner_id: str, conversation_id: str, seqs: Sequence[int], emptied: Hot
) -> None:
    places = [(conversation_id, seq) for seq in seqs]
    take_out(tx, owner_id, places)
    clear_journals(tx, owner_id, places)
    let_go(tx, owner_id, conversation_id, seqs)
    tx.run(GONE_SUMMARIES, **_at(owner_id, conversation_id))  # they may tell what it said
    tx.many(GONE_ORIGINAL, [{**_at(owner_id, conversation_id), "seq": seq} for seq in seqs])
    of = {"of_owner_id": owner_id, "of_conversation_id": conversation_id}
    tx.many(emptied, [{**of, "of_seq": seq} for seq in seqs])


def _rename_versions(tx: Tx, owner_id: str, conversation_id: str, keys: Mapping[int, str]) -> None:
    """Take out of keys of edits what tells their words: a hash of them (see `Editing`)."""
    of = {"of_owner_id": owner_id, "of_conversation_id": conversation_id}
    told = {seq: json.loads(key) for seq, key in keys.items()}
    tx.many(
        _RENAME,
        [
            {**of, "of_seq": seq, "new_key": to_json([*key[:2], new_token()])}
            for seq, key in told.items()
            if len(key) > _PLAIN
        ],
    )


def _drop_title(stands: Standing, text: str) -> None:
    """Take away a title that was made of this very text; one that somebody chose stays."""
    if stands.title is None or stands.title_source != "fallback":
        return
    words = " ".join(text.split())
    if stands.title.removesuffix("…") in words:
        stands.title = stands.title_source = None
