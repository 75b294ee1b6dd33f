"""What is not there: a message, or the whole conversation that it would be in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from convostore.errors import ConversationNotFoundError
from convostore.storage.statements import Hot
from convostore.storage.tables import conversation

if TYPE_CHECKING:
    from convostore.errors import MessageNotFoundError, NotFoundError
    from convostore.storage.database import Database

_ANY = Hot(
    select(conversation.c.id).where(
        conversation.c.owner_id == bindparam("owner_id"), conversation.c.id == bindparam("id")
    )
)


async def or_all_of_it(
    missing: MessageNotFoundError, database: Database, owner_id: str, conversation_id: str
) -> NotFoundError:
    """Return *missing*; where the conversation is gone for good, the error that says so."""
    if await database.read(_ANY, owner_id=owner_id, id=conversation_id):
        return missing
    return ConversationNotFoundError(
        f"there is no conversation {conversation_id}", hint="see them all: convostore list"
    )
