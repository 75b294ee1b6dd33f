"""Attachments of messages that were imported without them: put in the place of what pointed to them.

What a message says stays as it is; its hash, and those of all that stand below it, follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, select, update

from convostore.storage.attachments import refer_to_more, references
from convostore.storage.canonical import content_hash
from convostore.storage.search_marks import mark
from convostore.storage.search_shelf import take_out
from convostore.storage.statements import Hot
from convostore.storage.tables import message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convostore.storage.newcomers import ImportedMessage
    from convostore.storage.statements import Tx

_ALL = Hot(
    select(
        message.c.seq,
        message.c.parent_seq,
        message.c.status,
        message.c.role,
        message.c.text,
        message.c.parts,
        message.c.content_hash,
    )
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
    )
    .order_by(message.c.seq)
)
_SHAPE = Hot(
    update(message)
    .where(
        message.c.owner_id == bindparam("of_owner_id"),
        message.c.conversation_id == bindparam("of_conversation_id"),
        message.c.seq == bindparam("of_seq"),
    )
    .values(parts=bindparam("new_parts"), content_hash=bindparam("new_hash"))
)


class Arrivals(msgspec.Struct, frozen=True):
    """What has to be written of it.

    Attributes:
        contents: what each message refers to then, by its number: contents by their sha256.
        parts: of every message whose hash is another one then.
        hashes: likewise.
    """

    contents: dict[int, tuple[str, ...]] = {}
    parts: dict[int, str | None] = {}
    hashes: dict[int, str] = {}


def arrivals(tx: Tx, at: dict[str, str], told: Mapping[int, ImportedMessage]) -> Arrivals:
    """Find which of the messages that are *told* lack attachments here; *at* is the conversation.

    While a reply is running there, none: whoever ends it counts with the hash above it.
    """
    found = Arrivals({}, {}, {})
    if not told:
        return found
    there = references(tx, **at)
    rows = tx.rows(_ALL, **at)
    if any(status == "streaming" for _, _, status, *_ in rows):
        return found
    hashes: dict[int | None, str | None] = {None: None}
    for seq, parent_seq, status, role, text, parts, hash_ in rows:
        hashes[seq] = hash_
        if status == "erased":
            continue  # its hash stays, and so do those below it
        new = told.get(seq)
        if new and new.text == text and set(there.get(seq, ())) < set(new.attachments):
            found.contents[seq] = new.attachments
            parts = new.shape  # noqa: PLW2901 - what is stored has it no longer
        if seq in found.contents or parent_seq in found.hashes:
            hashes[seq] = found.hashes[seq] = content_hash(hashes[parent_seq], role, text, parts)
            found.parts[seq] = parts
    return found


def let_arrive(tx: Tx, at: dict[str, str], found: Arrivals) -> None:
    """Store it."""
    owner_id, id_ = at["owner_id"], at["conversation_id"]
    places = [(id_, seq) for seq in found.contents]
    take_out(tx, owner_id, places)  # while they are still as they were indexed
    of = {"of_owner_id": owner_id, "of_conversation_id": id_}
    new = [(seq, found.parts[seq], hash_) for seq, hash_ in found.hashes.items()]
    tx.many(_SHAPE, [of | {"of_seq": a, "new_parts": b, "new_hash": c} for a, b, c in new])
    for seq, contents in found.contents.items():
        refer_to_more(tx, owner_id, id_, seq, contents)
    mark(tx, owner_id, places)
