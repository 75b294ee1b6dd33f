"""Bringing the search index up to date, a slice at a time: from marks to words.

A slice is one transaction: what it puts in and the marks that it takes away are there together or
not at all, so it can be broken off and done again at any time, by any process. On SQLite a slice
is alone like every write; on PostgreSQL it holds the conversations that it works on, and passes
over those that somebody else holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import (
    and_,
    bindparam,
    delete,
    exists,
    func,
    select,
    tuple_,
)

from convostore.storage.canonical import to_json
from convostore.storage.portable import Pairs
from convostore.storage.search_marks import mark
from convostore.storage.search_renewal import renew, restart
from convostore.storage.search_shelf import Written, put_in, reasoning_of
from convostore.storage.search_tables import (
    TITLE_SEQ,
    indexed,
)
from convostore.storage.statements import Hot, one_of
from convostore.storage.tables import (
    IS_RUNNING,
    conversation,
    message,
    search_pending,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.storage.statements import Row, Tx

SLICE = 200  # messages; some 25 ms of the writer
LARGE = 500  # of somebody who waits for all of them: fewer and larger pieces of the index
_MARKS = 100  # that a slice looks at
_CHARACTERS = 2_500  # of each message of a slice, for all of them together: about as long
START = ("", "", -1)

_KEY = (search_pending.c.owner_id, search_pending.c.conversation_id, search_pending.c.seq)
_in_order = (
    select(*_KEY)
    .where(
        tuple_(*_KEY)
        > tuple_(bindparam("owner_id"), bindparam("conversation_id"), bindparam("seq"))
    )
    .order_by(*_KEY)
    .limit(_MARKS)
)
MARKS_OF_ALL = Hot(_in_order)
_MARKS_OF_ONE = Hot(
    select(*_KEY)
    .where(
        search_pending.c.owner_id == bindparam("owner_id"),
        tuple_(*_KEY[1:]) > tuple_(bindparam("conversation_id"), bindparam("seq")),
    )
    .order_by(*_KEY)
    .limit(_MARKS)
)
_HOLD = Hot(
    select(conversation.c.id)
    .where(conversation.c.owner_id == bindparam("owner_id"), one_of(conversation.c.id, "ids"))
    .order_by(conversation.c.id)
    .with_for_update(key_share=True, skip_locked=True)
)
_THERE = Hot(
    select(conversation.c.id).where(
        conversation.c.owner_id == bindparam("owner_id"), one_of(conversation.c.id, "ids")
    )
)
_from = Pairs("places")
_message_of = and_(
    message.c.owner_id == bindparam("owner_id"), message.c.conversation_id == _from.first
)
_is_indexed = exists().where(
    indexed.c.owner_id == message.c.owner_id,
    indexed.c.conversation_id == message.c.conversation_id,
    indexed.c.seq == message.c.seq,
)
_MISSING = Hot(
    select(
        message.c.conversation_id,
        message.c.seq,
        func.length(message.c.text) + func.coalesce(func.length(message.c.parts), 0),
    )
    .select_from(
        _from.table.outerjoin(
            message,
            and_(
                _message_of,
                message.c.seq >= _from.second,
                message.c.status != "streaming",
                message.c.status != "erased",
            ),
        )
    )
    .where(~_is_indexed)
    .order_by(message.c.conversation_id, message.c.seq)
    .limit(bindparam("most"))
)
_RUNNING = Hot(
    select(message.c.conversation_id, message.c.seq).select_from(
        _from.table.outerjoin(message, and_(_message_of, message.c.seq >= _from.second, IS_RUNNING))
    )
)
_TEXTS = Hot(
    select(
        message.c.conversation_id,
        message.c.seq,
        message.c.created_at_ms,
        message.c.text,
        message.c.parts,
    ).select_from(_from.table.outerjoin(message, and_(_message_of, message.c.seq == _from.second)))
)
_TITLES = Hot(
    select(conversation.c.id, conversation.c.created_at_ms, conversation.c.title).where(
        conversation.c.owner_id == bindparam("owner_id"),
        one_of(conversation.c.id, "ids"),
        conversation.c.title.is_not(None),
        conversation.c.title_source != "fallback",  # its words are the first question's
        ~exists().where(
            indexed.c.owner_id == conversation.c.owner_id,
            indexed.c.conversation_id == conversation.c.id,
            indexed.c.seq == TITLE_SEQ,
        ),
    )
)
_UNMARK = Hot(
    delete(search_pending).where(
        search_pending.c.owner_id == bindparam("owner_id"),
        search_pending.c.conversation_id == bindparam("conversation_id"),
        search_pending.c.seq == bindparam("seq"),
    )
)


class CatchUp(msgspec.Struct, frozen=True, kw_only=True):
    """Index a slice of one owner's.

    Attributes:
        after: the mark after which to look: conversation and number.
        most: texts.
    """

    after: tuple[str, int] = ("", -1)
    most: int = SLICE


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """What a slice came to.

    Attributes:
        put_in: how many texts are found now that were not.
        after: the last mark that was looked at; the next slice goes on there.
        more: there may be marks after it.
    """

    put_in: int
    after: tuple[str, str, int]
    more: bool


class NextSlice(msgspec.Struct, frozen=True, kw_only=True):
    """Index a slice, whoever's it is.

    Attributes:
        after: the mark after which to look.
        most: texts.
    """

    after: tuple[str, str, int] = START
    most: int = SLICE


class Restart(msgspec.Struct, frozen=True, kw_only=True):
    """Empty the index, and mark everything."""


def catch_up(tx: Tx, owner_id: str, jobs: Sequence[CatchUp]) -> list[Slice]:
    """Index a slice of what one owner has marked, for a search that waits for it."""
    renew(tx)
    outcomes = []
    for job in jobs:
        id_, seq = job.after
        marks = tx.rows(_MARKS_OF_ONE, owner_id=owner_id, conversation_id=id_, seq=seq)
        outcomes.append(_slice(tx, marks, (owner_id, id_, seq), job.most))
    return outcomes


def next_slices(tx: Tx, _: str, jobs: Sequence[NextSlice]) -> list[Slice]:
    """Index a slice of what anybody has marked: the writer's own work."""
    renew(tx)
    outcomes = []
    for job in jobs:
        owner_id, id_, seq = job.after
        marks = tx.rows(MARKS_OF_ALL, owner_id=owner_id, conversation_id=id_, seq=seq)
        outcomes.append(_slice(tx, marks, job.after, job.most))
    return outcomes


def restart_index(tx: Tx, _: str, jobs: Sequence[Restart]) -> list[None]:
    """Empty the index and mark everything: what `db reindex` begins with."""
    restart(tx)
    return [None] * len(jobs)


def _slice(tx: Tx, marks: Sequence[Row], after: tuple[str, str, int], most: int) -> Slice:
    owners: dict[str, list[tuple[str, int]]] = {}
    for owner_id, id_, seq in marks:
        owners.setdefault(owner_id, []).append((id_, seq))
    count, done = 0, after
    for owner_id, places in owners.items():
        part = _index(tx, owner_id, places, most - count)
        count += part.put_in
        done = (owner_id, *part.done) if part.done else done
        if part.is_cut or count >= most:
            return Slice(put_in=count, after=done, more=True)
    return Slice(put_in=count, after=done, more=len(marks) == _MARKS)


class _Done(msgspec.Struct, frozen=True):
    """What became of one owner's part of a slice: the last mark that is done with, if any."""

    put_in: int
    done: tuple[str, int] | None
    is_cut: bool


def _index(tx: Tx, owner_id: str, places: list[tuple[str, int]], room: int) -> _Done:
    """Put into the index what the marks at *places* stand for, *room* texts at most."""
    marks: dict[str, list[int]] = {}
    held = _held(tx, owner_id, sorted({id_ for id_, _ in places}))
    for id_, seq in places:
        if id_ in held:
            marks.setdefault(id_, []).append(seq)
    lows = [(id_, min(filter(None, seqs))) for id_, seqs in marks.items() if any(seqs)]
    given = to_json(lows)
    # A mark that stands for nothing any more has a row without values.
    found = tx.rows(_MISSING, owner_id=owner_id, places=given, most=room + 1 + len(lows))
    chosen, cut = _choose(_there(found), room)
    running: dict[str, list[int]] = {}
    for id_, seq in _there(tx.rows(_RUNNING, owner_id=owner_id, places=given)):
        running.setdefault(id_, []).append(seq)
    whole = {id_: seqs for id_, seqs in marks.items() if cut is None or id_ < cut[0]}
    written = [
        Written(id_, seq, at_ms, text, reasoning_of(text, shape))
        for id_, seq, at_ms, text, shape in _there(
            tx.rows(_TEXTS, owner_id=owner_id, places=to_json(chosen))
        )
    ]
    titled = to_json([id_ for id_, seqs in whole.items() if TITLE_SEQ in seqs])
    written += [
        Written(id_, TITLE_SEQ, at_ms, title)
        for id_, at_ms, title in tx.rows(_TITLES, owner_id=owner_id, ids=titled)
    ]
    put_in(tx, owner_id, sorted(written, key=lambda one: (one.conversation_id, one.seq)))
    gone = [(id_, seq) for id_, seqs in whole.items() for seq in _over(seqs, running.get(id_, []))]
    if cut is not None:
        id_, first = cut
        before = [seq for seq in marks[id_] if seq < first and seq != TITLE_SEQ]
        gone += [(id_, seq) for seq in _over(before, running.get(id_, []))]
        mark(tx, owner_id, [cut])
    tx.many(
        _UNMARK,
        [{"owner_id": owner_id, "conversation_id": id_, "seq": seq} for id_, seq in gone],
    )
    passed = [place for place in places if cut is None or place[0] < cut[0]]
    return _Done(len(written), passed[-1] if passed else None, cut is not None)


def _there(found: Sequence[Row]) -> list[Row]:
    """Return the rows of messages, without those of places where there is none."""
    return [row for row in found if row[0] is not None]


def _held(tx: Tx, owner_id: str, ids: list[str]) -> set[str]:
    """Return the conversations that nobody else is writing to; on SQLite that is all of them.

    Those that are gone for good come too, so that their marks go.
    """
    if tx.dialect.name != "postgresql":
        return set(ids)
    given = to_json(ids)
    there = {id_ for (id_,) in tx.rows(_THERE, owner_id=owner_id, ids=given)}
    held = {id_ for (id_,) in tx.rows(_HOLD, owner_id=owner_id, ids=given)}
    return held | (set(ids) - there)


def _choose(
    missing: Sequence[Row], room: int
) -> tuple[list[tuple[str, int]], tuple[str, int] | None]:
    """Return which messages fit into a slice, and the first one that does not."""
    chosen: list[tuple[str, int]] = []
    characters = 0
    for id_, seq, length in missing:
        characters += length
        if len(chosen) >= room or (chosen and characters > room * _CHARACTERS):
            return chosen, (id_, seq)
        chosen.append((id_, seq))
    return chosen, None


def _over(marks: Sequence[int], running: Sequence[int]) -> list[int]:
    """Return the marks that are done with: all but those that stand for a running reply."""
    needed = {
        max((seq for seq in marks if TITLE_SEQ < seq <= reply), default=None) for reply in running
    }
    return [seq for seq in marks if seq not in needed]
