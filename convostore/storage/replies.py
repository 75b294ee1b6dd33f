"""Replies as a write finds them, and what is made beside them: siblings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, bindparam, select, update

from convostore.storage.canonical import to_json
from convostore.storage.statements import Hot, Tx, pair_of
from convostore.storage.tables import conversation, message

if TYPE_CHECKING:
    from collections.abc import Sequence

_parent = message.alias("parent")
_reply = (
    select(
        message.c.conversation_id,
        message.c.seq,
        message.c.status,
        message.c.lease,
        message.c.parent_seq,
        message.c.role,
        message.c.provider,
        _parent.c.content_hash,
    )
    .select_from(
        message.outerjoin(
            _parent,
            and_(
                _parent.c.owner_id == message.c.owner_id,
                _parent.c.conversation_id == message.c.conversation_id,
                _parent.c.seq == message.c.parent_seq,
            ),
        )
    )
    .where(message.c.owner_id == bindparam("owner_id"))
)
_ONE_REPLY = Hot(
    _reply.where(
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq == bindparam("seq"),
    )
)
_REPLIES = Hot(_reply.where(pair_of(message.c.conversation_id, message.c.seq, "places")))
STAND = Hot(
    select(conversation.c.head_seq, conversation.c.last_seq).where(
        conversation.c.owner_id == bindparam("owner_id"),
        conversation.c.id == bindparam("conversation_id"),
    )
)
_ADD_SIBLING = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
    )
    .values(
        head_seq=bindparam("new_head_seq"),
        last_seq=bindparam("new_last_seq"),
        message_count=conversation.c.message_count + 1,
    )
)


class Reply(msgspec.Struct, frozen=True):
    """A reply as a group finds it."""

    status: str
    lease: str | None
    parent_seq: int | None
    role: str
    provider: str | None
    above: str | None
    """the parent's content hash"""


def replies(
    tx: Tx, owner_id: str, places: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], Reply]:
    """Read replies by conversation id and seq."""
    if len(places) == 1:
        ((id_, seq),) = places
        rows = tx.rows(_ONE_REPLY, owner_id=owner_id, conversation_id=id_, seq=seq)
    else:
        rows = tx.rows(_REPLIES, owner_id=owner_id, places=to_json(places))
    return {(row[0], row[1]): Reply(*row[2:]) for row in rows}


def sibling_row(owner_id: str, conversation_id: str, seq: int, now_ms: int) -> dict[str, Any]:
    """Return the row of a finished answer with nothing in it yet."""
    empty: dict[str, Any] = dict.fromkeys(column.name for column in message.c)
    return empty | {
        "owner_id": owner_id,
        "conversation_id": conversation_id,
        "seq": seq,
        "role": "assistant",
        "created_at_ms": now_ms,
        "finished_at_ms": now_ms,
    }


def advance(
    tx: Tx, owner_id: str, conversation_id: str, head_seq: int | None, last_seq: int
) -> None:
    """Count one message more, and let the conversation stand at *head_seq*."""
    tx.run(
        _ADD_SIBLING,
        of_owner_id=owner_id,
        of_id=conversation_id,
        new_head_seq=head_seq,
        new_last_seq=last_seq,
    )
