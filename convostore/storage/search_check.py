"""Whether the search index has what it is to have: what is stored, or a mark at it, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, exists, func, select

from convostore.storage.search_tables import TITLE_SEQ, indexed
from convostore.storage.statements import Hot
from convostore.storage.tables import conversation, message, search_pending

if TYPE_CHECKING:
    from convostore.storage.statements import Tx

_MISSING = Hot(
    select(func.count()).where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.status != "streaming",
        message.c.status != "erased",
        ~exists().where(
            indexed.c.owner_id == message.c.owner_id,
            indexed.c.conversation_id == message.c.conversation_id,
            indexed.c.seq == message.c.seq,
        ),
        ~exists().where(
            search_pending.c.owner_id == message.c.owner_id,
            search_pending.c.conversation_id == message.c.conversation_id,
            search_pending.c.seq > TITLE_SEQ,
            search_pending.c.seq <= message.c.seq,
        ),
    )
)
_UNTITLED = Hot(
    select(func.count()).where(
        conversation.c.owner_id == bindparam("owner_id"),
        conversation.c.id == bindparam("conversation_id"),
        conversation.c.title.is_not(None),
        conversation.c.title_source != "fallback",
        ~exists().where(
            indexed.c.owner_id == conversation.c.owner_id,
            indexed.c.conversation_id == conversation.c.id,
            indexed.c.seq == TITLE_SEQ,
        ),
        ~exists().where(
            search_pending.c.owner_id == conversation.c.owner_id,
            search_pending.c.conversation_id == conversation.c.id,
            search_pending.c.seq == TITLE_SEQ,
        ),
    )
)
_STRAY = Hot(
    select(func.count())
    .select_from(
        indexed.outerjoin(
            message,
            and_(
                message.c.owner_id == indexed.c.owner_id,
                message.c.conversation_id == indexed.c.conversation_id,
                message.c.seq == indexed.c.seq,
            ),
        )
    )
    .where(
        indexed.c.owner_id == bindparam("owner_id"),
        indexed.c.conversation_id == bindparam("conversation_id"),
        indexed.c.seq > TITLE_SEQ,
        message.c.seq.is_(None),
    )
)


def look_at_index(tx: Tx, at: dict[str, str]) -> int:
    """Count what of a conversation the index lacks, and what it has that is gone."""
    return sum(int(tx.rows(hot, **at)[0][0]) for hot in (_MISSING, _UNTITLED, _STRAY))


def remark(count: int) -> tuple[str, ...]:
    """Return the line that says so; it is no damage, for the index can always be made again."""
    if not count:
        return ()
    return (f"the search index is wrong about {count} messages or titles: convostore db reindex",)
