"""What an earlier try of the same jobs has stored, where the answer to its commit was lost.

Appends find their messages by id, ends of turns their token or spare id, flushes their positions;
a turn's beginning and a new conversation are found here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from convostore.storage.exchanges import Begun
from convostore.storage.statements import Hot
from convostore.storage.tables import conversation, message

if TYPE_CHECKING:
    from convostore.storage.exchanges import BeginTurn
    from convostore.storage.standing import Standing
    from convostore.storage.statements import Tx

_user = message.alias("user_message")
_REPLY = Hot(
    select(
        message.c.seq,
        _user.c.seq,
        _user.c.parent_seq,
        _user.c.content_hash,
    )
    .select_from(
        message.join(
            _user,
            (_user.c.owner_id == message.c.owner_id)
            & (_user.c.conversation_id == message.c.conversation_id)
            & (_user.c.seq == message.c.parent_seq),
        )
    )
    .where(message.c.owner_id == bindparam("owner_id"), message.c.id == bindparam("id"))
)
_CONVERSATION = Hot(
    select(conversation.c.id).where(
        conversation.c.owner_id == bindparam("owner_id"), conversation.c.id == bindparam("id")
    )
)
_MESSAGE = Hot(
    select(message.c.seq, message.c.content_hash).where(
        message.c.owner_id == bindparam("owner_id"), message.c.id == bindparam("id")
    )
)


def stored_before(tx: Tx, owner_id: str, job: BeginTurn, stands: Standing) -> Begun | None:
    """Return what an earlier try of a turn's beginning had stored, found by the reply's id.

    While its reply runs hardly anybody moves the head away from it, so where the head is elsewhere
    the turn had branched.
    """
    found = tx.rows(_REPLY, owner_id=owner_id, id=job.reply.id) if tx.again else []
    if not found:
        return None

    reply_seq, user_seq, above_seq, user_hash = found[0]
    alone = job.user is None
    return Begun(
        parent_seq=user_seq if alone else above_seq,
        user_seq=user_seq,
        reply_seq=reply_seq,
        branched=job.on_moved == "branch" and stands.head_seq != reply_seq,
        user_hash=None if alone else user_hash,
        change=stands.change(),
    )


def is_made(tx: Tx, owner_id: str, conversation_id: str) -> bool:
    """Tell whether an earlier try had stored a new conversation."""
    return tx.again and bool(tx.rows(_CONVERSATION, owner_id=owner_id, id=conversation_id))


def stored_message(tx: Tx, owner_id: str, message_id: str) -> tuple[int, str | None] | None:
    """Return seq and hash of a message that an earlier try of this same write had stored."""
    found = tx.rows(_MESSAGE, owner_id=owner_id, id=message_id)
    return (int(found[0][0]), found[0][1]) if found else None
