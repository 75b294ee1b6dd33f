"""What an import is given, what it returns, and the rows that conversations of other programs become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from convostore.storage.originals import CONVERSATION_SEQ
from convostore.storage.tables import conversation, message

if TYPE_CHECKING:
    from convostore.storage.statements import Row

Kept: TypeAlias = Literal["added", "updated", "unchanged", "deleted"]
Named = dict[str, Any]


class ImportedMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
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
        dated: its time of change was told there; else it is that of its newest message.
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
    dated: bool = True
    restore: bool = False
    dry_run: bool = False

    def would_be_added(self) -> Imported:
        """Return what becomes of it where it is not there."""
        new = tuple((one.source_id, one.content_hash) for one in self.messages)
        return Imported(kept="added", messages=len(new), new=new, title=self.title)


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a conversation.

    Attributes:
        kept: it was added, updated, or left as it is; or it stays deleted.
        messages: how many were added.
        new: of a dry run, the ids at the origin and the hashes of those.
        id: of the conversation; None where there is none, and so its `handle`.
    """

    kept: Kept
    messages: int = 0
    new: tuple[tuple[str, str], ...] = ()
    id: str | None = None
    handle: str | None = None
    title: str | None = None


class ContentsMissing(msgspec.Struct, frozen=True):
    """Nothing was written: attachments, by sha256, have to be taken in first."""

    contents: tuple[str, ...]


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
