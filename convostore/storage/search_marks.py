"""Marks at what is not in the search index yet, left by the writes that make it so.

One mark stands for every message of its conversation from its number on; a mark at 0 stands for
the title. It is left in the transaction that stores the text, and taken away in the one that puts
the words into the index: whenever a program dies, what is not found is marked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from convostore.storage.search_tables import TITLE_SEQ
from convostore.storage.statements import Hot, upsert
from convostore.storage.tables import message, search_pending

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convostore.storage.statements import Tx

ADD_MESSAGE = Hot(insert(message))
_mark = upsert(search_pending)
# An update that changes nothing waits for whoever is just taking the same mark away; doing nothing
# would not, and the mark would be lost.
MARK = Hot(
    _mark.on_conflict_do_update(
        index_elements=["owner_id", "conversation_id", "seq"], set_={"seq": _mark.excluded.seq}
    )
)


def add_messages(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Store new messages, those of each conversation in order, and mark them."""
    tx.many(ADD_MESSAGE, rows)
    last: dict[str, int] = {}  # they are of one owner
    marks = []
    for row in rows:
        id_, seq = row["conversation_id"], row["seq"]
        if last.get(id_) != seq - 1:
            marks.append((row["owner_id"], id_, seq))
        last[id_] = seq
    _leave(tx, marks)


def mark(tx: Tx, owner_id: str, places: Iterable[tuple[str, int]]) -> None:
    """Mark messages, by conversation and number, and all that follow them in their conversation."""
    _leave(tx, [(owner_id, *place) for place in places])


def mark_title(tx: Tx, owner_id: str, conversation_id: str) -> None:
    """Mark a conversation's title."""
    mark(tx, owner_id, [(conversation_id, TITLE_SEQ)])


def _leave(tx: Tx, marks: Iterable[tuple[str, str, int]]) -> None:
    tx.marked = True
    names = ("owner_id", "conversation_id", "seq")
    tx.many(MARK, [dict(zip(names, one, strict=True)) for one in marks])
