"""What an import is given, and what it returns; SQLAlchemy is not asked, as in a child that reads."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Kept: TypeAlias = Literal["added", "updated", "unchanged", "deleted"]


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
