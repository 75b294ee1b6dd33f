"""The JSON of another program, as it was imported: for a way back to it without loss.

Each message's stands under its number, the conversation's own under 0. Longer ones are packed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import bindparam, insert, select

from convostore.storage.packing import unpacked
from convostore.storage.statements import Hot, upsert
from convostore.storage.tables import source_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from convostore.storage.database import Database
    from convostore.storage.statements import Row, Tx

CONVERSATION_SEQ: Final = 0  # messages begin at 1

_ADD = Hot(insert(source_record))
_store = upsert(source_record)
_KEEP = Hot(
    _store.on_conflict_do_update(
        index_elements=["owner_id", "conversation_id", "seq"], set_={"data": _store.excluded.data}
    )
)
_ALL_OF = Hot(
    select(source_record.c.seq, source_record.c.data).where(
        source_record.c.owner_id == bindparam("owner_id"),
        source_record.c.conversation_id == bindparam("conversation_id"),
    )
)
_BETWEEN = Hot(
    select(source_record.c.seq, source_record.c.data)
    .where(
        source_record.c.owner_id == bindparam("owner_id"),
        source_record.c.conversation_id == bindparam("conversation_id"),
        source_record.c.seq >= bindparam("first"),
        source_record.c.seq <= bindparam("last"),
    )
    .order_by(source_record.c.seq)
)


def add_originals(tx: Tx, rows: Sequence[Row]) -> None:
    """Store what new conversations and messages were, packed: values of `source_record`'s columns."""
    tx.add(_ADD, source_record, rows)


def keep_originals(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Store the like, by the names of the columns, in the place of what is there."""
    tx.many(_KEEP, rows)


def originals_of(tx: Tx, owner_id: str, conversation_id: str) -> dict[int, bytes]:
    """Return what is stored of a conversation: by number, packed."""
    rows = tx.rows(_ALL_OF, owner_id=owner_id, conversation_id=conversation_id)
    return {seq: bytes(data) for seq, data in rows}


def is_same(one: bytes, other: bytes) -> bool:
    """Tell whether two packed texts are the same JSON, whatever the order of its keys.

    Raises:
        StoreCorruptError: one cannot be unpacked.
    """
    if one == other:
        return True
    one, other = unpacked(one), unpacked(other)
    if one == other:
        return True
    same: bool = msgspec.json.decode(one) == msgspec.json.decode(other)
    return same


async def originals(
    database: Database, owner_id: str, conversation_id: str, first: int, last: int
) -> dict[int, bytes]:
    """Read the JSON of messages *first* to *last* by their numbers; under 0 the conversation's.

    Raises:
        StoreError: the store cannot be read, or what is stored cannot be unpacked.
    """
    at = {"owner_id": owner_id, "conversation_id": conversation_id}
    rows = await database.read(_BETWEEN, **at, first=first, last=last)
    return {seq: unpacked(data) for seq, data in rows}
