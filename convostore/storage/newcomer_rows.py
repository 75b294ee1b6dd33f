"""The rows that conversations of other programs become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convostore.storage.originals import CONVERSATION_SEQ
from convostore.storage.tables import conversation, message

if TYPE_CHECKING:
    from convostore.storage.newcomers import ImportConversation, ImportedMessage
    from convostore.storage.statements import Row

Named = dict[str, Any]
_MESSAGE = [column.name for column in message.c]
_EMPTY: Named = dict.fromkeys(column.name for column in conversation.c)


def conversation_row(owner_id: str, job: ImportConversation, handle: str) -> Named:
    """Return the row of a new conversation."""
    return _EMPTY | {
        "owner_id": owner_id,
        "id": job.id,
        "handle": handle,
        "title": job.title,
        "title_source": job.title_source,
        "model": job.model,
        "anonymous_user_id": job.anonymous_user_id,
        "head_seq": None if job.head is None else job.head + 1,
        "last_seq": len(job.messages),
        "message_count": len(job.messages),
        "interrupted_count": sum(one.status == "interrupted" for one in job.messages),
        "folder": job.folder,
        "pinned": int(job.pinned),
        "archived_at_ms": job.now_ms if job.archived else None,
        "created_at_ms": job.created_at_ms,
        "updated_at_ms": job.updated_at_ms,
        "source": job.source,
        "source_id": job.source_id,
        "changed_at_ms": job.now_ms,
    }


def message_values(at: Row, new: ImportedMessage, seq: int) -> Row:
    """Return the values of a message of a new conversation; *at* is owner and conversation."""
    parent_seq = None if new.parent is None else new.parent + 1
    # fmt: off
    return (
        *at, seq, new.id, parent_seq, new.role, new.author, new.status, new.text, new.shape,
        None, new.model, new.finish_reason, None, None, None,
        new.created_at_ms, new.created_at_ms, new.content_hash, new.source_id,
        new.author,
    )
    # fmt: on


def message_row(at: Row, new: ImportedMessage, seq: int, parent_seq: int | None) -> Named:
    """Return the row of a message that is new to a conversation; *at* as above."""
    row = dict(zip(_MESSAGE, message_values(at, new, seq), strict=True))
    return row | {"parent_seq": parent_seq}


def original_values(at: Row, job: ImportConversation) -> list[Row]:
    """Return the values of what a new conversation and its messages were; *at* as above."""
    rows: list[Row] = [(*at, CONVERSATION_SEQ, job.original)] if job.original else []
    rows += [
        (*at, seq, one.original) for seq, one in enumerate(job.messages, start=1) if one.original
    ]
    return rows
