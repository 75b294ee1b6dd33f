"""Owners: who there is, and taking one out for good, once nothing but what was paid is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, delete, func, select

from convostore.storage.conversations import PERSONAL, PERSONAL_OWNER
from convostore.storage.scrub_note import owe_scrub
from convostore.storage.statements import Hot
from convostore.storage.tables import attachment, conversation, owner, store_meta, usage
from convostore.storage.tombstones import NO_TOMBSTONES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.storage.database import Database
    from convostore.storage.statements import Tx


class OwnerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An owner, and how much is kept for them.

    Attributes:
        name: None is the store's personal owner.
        conversations: how many, archived ones and the bin included.
        messages: in them.
    """

    name: str | None
    created_at_ms: int
    conversations: int
    messages: int


class EraseOwner(msgspec.Struct, frozen=True, kw_only=True):
    """Take an owner out, of whom no conversation and no attachment is left."""


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What became of that.

    Attributes:
        done: False where something was stored for the owner meanwhile; nothing was changed then.
        calls: how many model calls are counted no more.
    """

    done: bool
    calls: int = 0


# Held before it is looked what is left: who makes something for the owner holds the row, too.
_HELD = Hot(select(owner.c.id).where(owner.c.id == bindparam("owner_id")).with_for_update())
_KEPT = (conversation, attachment)
_LEFT = tuple(
    Hot(select(table.c.id).where(table.c.owner_id == bindparam("owner_id")).limit(1))
    for table in _KEPT
)
_CALLS = Hot(select(func.count()).where(usage.c.owner_id == bindparam("owner_id")))
_GONE_CALLS = Hot(delete(usage).where(usage.c.owner_id == bindparam("owner_id")))
_GONE_NAME = Hot(
    delete(store_meta).where(
        store_meta.c.name == PERSONAL, store_meta.c.value == bindparam("owner_id", unique=False)
    )
)
_GONE = Hot(delete(owner).where(owner.c.id == bindparam("owner_id")))
_OWNERS = Hot(select(owner.c.id, owner.c.name, owner.c.created_at_ms).order_by(owner.c.name))
_COUNTS = Hot(
    select(func.count(), func.coalesce(func.sum(conversation.c.message_count), 0)).where(
        conversation.c.owner_id == bindparam("owner_id")
    )
)


def erase_owners(tx: Tx, owner_id: str, jobs: Sequence[EraseOwner]) -> list[Erased]:
    """Take the owner's name, what they paid and what they purged out, where nothing else is left."""
    return [_erase(tx, owner_id) for _ in jobs]


def _erase(tx: Tx, owner_id: str) -> Erased:
    tx.rows(_HELD, owner_id=owner_id)
    if any(tx.rows(hot, owner_id=owner_id) for hot in _LEFT):
        return Erased(done=False)
    ((calls,),) = tx.rows(_CALLS, owner_id=owner_id)
    for hot in (_GONE_CALLS, NO_TOMBSTONES, _GONE_NAME, _GONE):
        tx.run(hot, owner_id=owner_id)
    owe_scrub(tx)
    return Erased(done=True, calls=calls)


async def owners(database: Database) -> tuple[OwnerRecord, ...]:
    """List the owners of a store, by name; the personal one first."""
    personal = {row[0] for row in await database.read(PERSONAL_OWNER)}
    found = []
    for id_, name, created_at_ms in await database.read(_OWNERS):
        ((conversations, messages),) = await database.read(_COUNTS, owner_id=id_)
        found.append(
            OwnerRecord(
                name=None if id_ in personal else name,
                created_at_ms=created_at_ms,
                conversations=conversations,
                messages=int(messages),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.name is not None, one.name or "")))
