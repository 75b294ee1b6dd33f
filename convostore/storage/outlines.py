"""A long path at a glance: which messages are on it and whose they are, without what they say."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, select

from convostore import clock
from convostore.storage.reads import BETWEEN
from convostore.storage.rows import messages_from
from convostore.storage.statements import Hot
from convostore.storage.tables import message, usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.records import Message
    from convostore.storage.database import Database
    from convostore.storage.statements import Row

_OUTLINE = Hot(
    select(message.c.seq, message.c.parent_seq, message.c.role, message.c.status)
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq <= bindparam("last"),
    )
    .order_by(message.c.seq)
)
_COUNTED = Hot(
    select(usage.c.message_seq, usage.c.output_tokens, usage.c.reasoning_tokens).where(
        usage.c.owner_id == bindparam("owner_id"),
        usage.c.conversation_id == bindparam("conversation_id"),
        usage.c.output_tokens.is_not(None),
    )
)


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """A path without its texts.

    Attributes:
        seqs: the numbers of its messages, ascending.
        starts: the places in it where turns begin: of the user's messages.
        system: how many system messages it begins with.
        has_erased: something of it was forgotten.
    """

    seqs: list[int]
    starts: list[int]
    system: int
    has_erased: bool

    def after(self, seq: int) -> int:
        """Return the place after the message *seq*, which is on the path."""
        return bisect_right(self.seqs, seq)

    def turn_start(self, at: int) -> int:
        """Return where the turn begins that a place is in; the first begins after the system text."""
        before = bisect_right(self.starts, at)
        return self.starts[before - 1] if before else self.system

    def turns_between(self, low: int, high: int) -> int:
        """Return how many turns begin from *low* on, and before *high*."""
        return bisect_left(self.starts, high) - bisect_left(self.starts, low)


async def outline(
    database: Database, owner_id: str, conversation_id: str, head_seq: int
) -> Outline | None:
    """Read which messages lead to *head_seq*; None where they do not, which `reads.path` explains.

    Raises:
        StoreError: the store cannot be read.
    """
    return await database.read_as(
        lambda rows: _outline(rows, head_seq),
        _OUTLINE,
        owner_id=owner_id,
        conversation_id=conversation_id,
        last=head_seq,
    )


async def stretch(
    database: Database, owner_id: str, conversation_id: str, seqs: Sequence[int]
) -> tuple[Message, ...]:
    """Read the messages of a stretch of a path by their numbers, which ascend.

    Raises:
        StoreError: the store cannot be read.
    """
    if not seqs:
        return ()
    now_ms, wanted = clock.now_ms(), set(seqs)
    return await database.read_as(
        lambda rows: tuple(messages_from((row for row in rows if row[0] in wanted), now_ms)),
        BETWEEN,
        owner_id=owner_id,
        conversation_id=conversation_id,
        after=seqs[0] - 1,
        last=seqs[-1],
        most=seqs[-1] - seqs[0] + 1,
    )


async def counted(database: Database, owner_id: str, conversation_id: str) -> dict[int, int]:
    """Read how many tokens the replies have that are told again, by number, as was reported.

    Raises:
        StoreError: the store cannot be read.
    """
    rows = await database.read(_COUNTED, owner_id=owner_id, conversation_id=conversation_id)
    return {seq: output - (reasoning or 0) for seq, output, reasoning in rows}


def _outline(rows: Sequence[Row], head_seq: int) -> Outline | None:
    way = _way(rows, head_seq)
    if way is None:
        return None
    first = next((at for at, row in enumerate(way) if row[2] != "system"), len(way))
    return Outline(
        seqs=[row[0] for row in way],
        starts=[at for at, row in enumerate(way) if row[2] == "user"],
        system=first,
        has_erased=any(row[3] == "erased" for row in way),
    )


def _way(rows: Sequence[Row], head_seq: int) -> Sequence[Row] | None:
    above = None
    for row in rows:
        if row[1] != above:
            break
        above = row[0]
    else:
        if above == head_seq:
            return rows  # nothing ever branched
    by_seq = {row[0]: row for row in rows}
    way: list[Row] = []
    seq: int | None = head_seq
    while seq is not None:
        found = by_seq.get(seq)
        if found is None or (way and seq >= way[-1][0]):
            return None
        way.append(found)
        seq = found[1]
    return way[::-1]
