"""Whether checkpoints can be read, name only what is there, and show messages that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, select

from convostore.storage.checkpoint_items import hash_of, whole
from convostore.storage.checkpoint_removal import named_by
from convostore.storage.checkpoint_tables import checkpoint, checkpoint_item
from convostore.storage.statements import Hot
from convostore.storage.tables import message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.storage.statements import Tx

_ITEMS = Hot(
    select(
        checkpoint_item.c.space,
        checkpoint_item.c.number,
        checkpoint_item.c.content_hash,
        checkpoint_item.c.message_seq,
        checkpoint_item.c.data,
        message.c.status,
        message.c.text,
    )
    .select_from(
        checkpoint_item.outerjoin(
            message,
            (message.c.owner_id == checkpoint_item.c.owner_id)
            & (message.c.conversation_id == checkpoint_item.c.conversation_id)
            & (message.c.seq == checkpoint_item.c.message_seq),
        )
    )
    .where(
        checkpoint_item.c.owner_id == bindparam("owner_id"),
        checkpoint_item.c.conversation_id == bindparam("conversation_id"),
    )
)


_ANY = Hot(
    select(checkpoint.c.id)
    .where(
        checkpoint.c.owner_id == bindparam("owner_id"),
        checkpoint.c.conversation_id == bindparam("conversation_id"),
    )
    .limit(1)
)


def look_at_checkpoints(tx: Tx, at: dict[str, str], *, deep: bool) -> Iterator[str]:
    """Yield what is wrong with a conversation's checkpoints.

    Args:
        tx: in a read transaction.
        at: `owner_id` and `conversation_id`.
        deep: every item is read, and its hash derived again.
    """
    items = tx.rows(_ITEMS, **at)
    if not items and not tx.rows(_ANY, **at):
        return  # as in most conversations
    try:
        named = named_by(tx, at)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"a checkpoint cannot be read: {error}"
        return
    there: dict[str, set[int]] = {}
    for space, number, hash_, seq, data, status, text in items:
        there.setdefault(space, set()).add(number)
        where = f"item {number} of its checkpoints{space and f' ({space[1:]})'}"
        if seq is not None and status is None:
            yield f"{where}: message {seq}, which shows it, is gone"
        elif status == "erased" and data:
            yield f"{where} is still there, though message {seq} was forgotten"
        if deep and data and not _is_sound(data, text, hash_):
            yield f"{where} is not as it was stored: its hash differs"
    for space, numbers in named.items():
        for number in sorted(numbers - there.get(space, set())):
            yield f"a checkpoint names item {number}{space and f' ({space[1:]})'}, which is gone"


def _is_sound(data: str, text: str | None, hash_: str) -> bool:
    try:
        return hash_of(whole(data, text)) == hash_
    except msgspec.DecodeError:
        return False
