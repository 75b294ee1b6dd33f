"""What an import is given, what it returns, and the rows that conversations of other programs become."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from convostore.storage.originals import CONVERSATION_SEQ
from convostore.storage.tables import conversation

Kept: TypeAlias = Literal["added", "updated", "unchanged", "deleted"]
Named = dict[str, Any]


class ImportedMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message of another program, fit for the store.

    Attributes:
        parent: the place of the message before it among those of the conversation; None at a root.
        shape: the parts as stored, or None when the text says it all.
        content_hash: where all above it are stored as they are here.
        original: the origin's JSON, packed; empty where there is none.
        attachments: the sha256 of each attachment among the parts, in order.
    """

    id: str
    source_id: str
    parent: int | None
    role: str
    author: str | None
    status: str
    text: str
    shape: str | None
    model: str | None
    finish_reason: str | None
    created_at_ms: int
    content_hash: str
    original: bytes = b""
    attachments: tuple[str, ...] = ()


class ImportConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation of another program, fit for the store.

    Attributes:
        id: should it be new; and so `anonymous_user_id`, `folder`, `pinned`, `archived`, `tags`.
        messages: parents before children.
        head: the place of the message at which it stood there.
        more_tags: the caller's, also for one that is there already.
        restore: bring it back where the user has deleted it.
        dry_run: look, and write nothing.
    """

    source: str
    source_id: str
    id: str
    anonymous_user_id: str
    title: str | None
    title_source: str | None
    model: str | None
    folder: str | None
    pinned: bool
    archived: bool
    tags: tuple[str, ...]
    more_tags: tuple[str, ...]
    head: int | None
    messages: tuple[ImportedMessage, ...]
    original: bytes
    created_at_ms: int
    updated_at_ms: int
    now_ms: int
    restore: bool = False
    dry_run: bool = False


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a conversation.

    Attributes:
        kept: it was added, updated, or left as it is; or it stays deleted.
        messages: how many were added.
        id: of the conversation; None where there is none, and so its `handle`.
    """

    kept: Kept
    messages: int = 0
    id: str | None = None
    handle: str | None = None
    title: str | None = None


class ContentsMissing(msgspec.Struct, frozen=True):
    """Nothing was written: attachments, by sha256, have to be taken in first."""

    contents: tuple[str, ...]


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
    }


def message_row(at: Named, new: ImportedMessage, seq: int, parent_seq: int | None) -> Named:
    """Return the row of a new message; *at* names owner and conversation."""
    return {
        **at,
        "seq": seq,
        "id": new.id,
        "parent_seq": parent_seq,
        "role": new.role,
        "author": new.author,
        "status": new.status,
        "text": new.text,
        "parts": new.shape,
        "provider": None,
        "model": new.model,
        "finish_reason": new.finish_reason,
        "error": None,
        "idempotency_key": None,
        "lease": None,
        "created_at_ms": new.created_at_ms,
        "finished_at_ms": new.created_at_ms,
        "content_hash": new.content_hash,
        "source_id": new.source_id,
    }


def original_rows(at: Named, job: ImportConversation) -> list[Named]:
    """Return the rows of what a new conversation and its messages were; *at* as above."""
    rows = [{**at, "seq": CONVERSATION_SEQ, "data": job.original}] if job.original else []
    rows += [
        {**at, "seq": seq, "data": one.original}
        for seq, one in enumerate(job.messages, start=1)
        if one.original
    ]
    return rows
