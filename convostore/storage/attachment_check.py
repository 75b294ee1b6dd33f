"""Whether what messages have attached is there, and is what it is said to be."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from convostore.errors import StoreCorruptError
from convostore.parts import AttachmentPart
from convostore.storage.rows import decode_parts
from convostore.storage.statements import Hot
from convostore.storage.tables import attachment, attachment_chunk, message, message_attachment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.storage.statements import Tx

_REFERRED = Hot(
    select(
        message_attachment.c.message_seq,
        message_attachment.c.sha256,
        attachment.c.id,
        attachment.c.size,
    )
    .select_from(
        message_attachment.outerjoin(
            attachment,
            (attachment.c.owner_id == message_attachment.c.owner_id)
            & (attachment.c.sha256 == message_attachment.c.sha256)
            & attachment.c.sha256.is_not(None),
        )
    )
    .where(
        message_attachment.c.owner_id == bindparam("owner_id"),
        message_attachment.c.conversation_id == bindparam("conversation_id"),
    )
    .order_by(message_attachment.c.message_seq, message_attachment.c.number)
)
_NAMING = Hot(
    select(message.c.seq, message.c.parts)
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.parts.contains('"attachment"'),
    )
    .order_by(message.c.seq)
)
_CHUNK = Hot(
    select(attachment_chunk.c.data).where(
        attachment_chunk.c.owner_id == bindparam("owner_id"),
        attachment_chunk.c.attachment_id == bindparam("attachment_id"),
        attachment_chunk.c.number == bindparam("number"),
    )
)


def look_at_attachments(
    tx: Tx, at: dict[str, str], looked_at: set[str], *, deep: bool
) -> Iterator[str]:
    """Yield what is wrong with the attachments of a conversation.

    Args:
        tx: in a read transaction.
        at: `owner_id` and `conversation_id`.
        looked_at: the ids of those whose bytes were read already; these are added.
        deep: their bytes are read, piece by piece, and so is what the messages name.
    """
    referred: set[tuple[int, str]] = set()
    for seq, sha256, id_, size in tx.rows(_REFERRED, **at):
        referred.add((seq, sha256))
        where = f"message {seq}: its attachment {sha256[:12]}"
        if id_ is None:
            yield f"{where} is gone"
        elif deep and id_ not in looked_at:
            looked_at.add(id_)
            if _content(tx, at["owner_id"], id_) != (sha256, size):
                yield f"{where} is not as it was stored: its bytes differ"
    if deep:
        named = set(_named(tx, at))
        for seq, sha256 in sorted(named - referred):
            yield f"message {seq}: nothing keeps its attachment {sha256[:12]}: it is not referred to"
        for seq, sha256 in sorted(referred - named):
            yield f"message {seq}: it refers to attachment {sha256[:12]}, and does not name it"


def _named(tx: Tx, at: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Yield the attachments among the parts of messages, each by the message's seq and its sha256."""
    for seq, shape in tx.each(_NAMING, **at):
        try:
            parts = decode_parts("", shape)
        except StoreCorruptError:
            continue  # which is told where the message is looked at
        yield from ((seq, part.sha256) for part in parts if isinstance(part, AttachmentPart))


def _content(tx: Tx, owner_id: str, attachment_id: str) -> tuple[str, int]:
    hashed, size, number = hashlib.sha256(), 0, 0
    at = {"owner_id": owner_id, "attachment_id": attachment_id}
    while rows := tx.rows(_CHUNK, **at, number=number):
        data = bytes(rows[0][0])
        hashed.update(data)
        size, number = size + len(data), number + 1
    return hashed.hexdigest(), size
