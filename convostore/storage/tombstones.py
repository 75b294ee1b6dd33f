"""What was purged, so that no later import brings it back by itself.

Nothing of it is kept but a hash by which its id is known again, and one of its origin's name for it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, delete, select

from convostore.storage.canonical import to_json
from convostore.storage.statements import Hot, one_of, upsert
from convostore.storage.tables import tombstone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convostore.storage.statements import Tx

OWN = "convostore"  # the source of an export of ours: there it is known by its id here
FORK = "fork"  # the source of what was made here, of something that was here

_ADD = Hot(upsert(tombstone).on_conflict_do_nothing())
TOMBSTONES = Hot(
    select(tombstone.c.source_hash).where(
        tombstone.c.owner_id == bindparam("owner_id"), one_of(tombstone.c.source_hash, "hashes")
    )
)
_DROP = Hot(
    delete(tombstone).where(
        tombstone.c.owner_id == bindparam("owner_id"),
        tombstone.c.source_hash == bindparam("source_hash"),
    )
)
NO_TOMBSTONES = Hot(delete(tombstone).where(tombstone.c.owner_id == bindparam("owner_id")))


def source_hash(owner_id: str, source: str, source_id: str) -> str:
    """Return by what a conversation of another program is known again, without saying which it is."""
    return hashlib.sha256(msgspec.json.encode([owner_id, source, source_id])).hexdigest()


def hashes_of(owner_id: str, id_: str, source: str | None, source_id: str | None) -> list[str]:
    """Return by what a conversation is known again: its id here, and where it was imported that there."""
    hashes = [source_hash(owner_id, OWN, id_)]
    if source and source_id and source != FORK:
        hashes.append(source_hash(owner_id, source, source_id))
    return hashes


def add_tombstones(tx: Tx, owner_id: str, hashes: Iterable[str]) -> None:
    """Remember what is purged."""
    tx.many(_ADD, [{"owner_id": owner_id, "source_hash": one} for one in sorted(set(hashes))])


def purged_before(tx: Tx, owner_id: str, hashes: Iterable[str]) -> set[str]:
    """Return those of *hashes* that have a tombstone."""
    given = to_json(sorted(set(hashes)))
    return {found for (found,) in tx.rows(TOMBSTONES, owner_id=owner_id, hashes=given)}


def drop_tombstones(tx: Tx, owner_id: str, hashes: Iterable[str]) -> None:
    """Forget that something was purged: somebody wants it back."""
    tx.many(_DROP, [{"owner_id": owner_id, "source_hash": one} for one in sorted(set(hashes))])
