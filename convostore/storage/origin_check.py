"""Whether what is kept of another program's file belongs to what is there, and can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, select

from convostore.errors import StoreCorruptError
from convostore.storage.originals import CONVERSATION_SEQ
from convostore.storage.packing import unpacked
from convostore.storage.statements import Hot
from convostore.storage.tables import message, source_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from sqlalchemy import ColumnElement

    from convostore.storage.statements import Tx


def _each(*columns: ColumnElement[Any]) -> Hot:
    """Select *columns* of what is kept of a conversation, each beside its message."""
    return Hot(
        select(source_record.c.seq, message.c.status, *columns)
        .select_from(
            source_record.outerjoin(
                message,
                (message.c.owner_id == source_record.c.owner_id)
                & (message.c.conversation_id == source_record.c.conversation_id)
                & (message.c.seq == source_record.c.seq),
            )
        )
        .where(
            source_record.c.owner_id == bindparam("owner_id"),
            source_record.c.conversation_id == bindparam("conversation_id"),
        )
        .order_by(source_record.c.seq)
    )


_SHALLOW = _each()
_DEEP = _each(source_record.c.data)


def look_at_originals(tx: Tx, at: dict[str, str], *, deep: bool) -> Iterator[str]:
    """Yield what is wrong with what is kept of the file that a conversation came from.

    Args:
        tx: in a read transaction.
        at: `owner_id` and `conversation_id`.
        deep: it is read.
    """
    for seq, status, *data in tx.each(_DEEP if deep else _SHALLOW, **at):
        where = f"message {seq}: what is kept of its file"
        if seq != CONVERSATION_SEQ and status is None:
            yield f"{where} has no message"
        elif status == "erased":
            yield f"{where} is still there, though the message was forgotten"
        elif deep and not _is_json(data[0]):
            yield f"{where} cannot be read"


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(unpacked(data))
    except (StoreCorruptError, msgspec.DecodeError, RecursionError):
        return False
    return True
