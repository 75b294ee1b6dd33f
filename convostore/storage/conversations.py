"""Making owners and conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import and_, bindparam, func, insert, null, select, update

from convostore.errors import ConvostoreError, DuplicateKeyError
from convostore.ids import new_handle, new_owner_id
from convostore.storage.appends import Append, append_messages
from convostore.storage.exchanges import NewMessage
from convostore.storage.kept import KEPT
from convostore.storage.owner_rows import OWNER_IS_THERE, OwnerGone
from convostore.storage.retold import is_made
from convostore.storage.search_marks import mark_title
from convostore.storage.statements import Hot, Tx
from convostore.storage.tables import conversation, owner, store_meta

if TYPE_CHECKING:
    from collections.abc import Sequence

PERSONAL = "personal_owner"  # the name in store_meta under which the personal owner's id stands


class EnsureOwner(msgspec.Struct, frozen=True, kw_only=True):
    """An owner to be found or made; without a name, the store's personal one."""

    name: str | None
    now_ms: int


class NewConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation about to be stored.

    Attributes:
        reuse: with a key that is taken, return that conversation instead of refusing.
        settings: as JSON, and so `metadata`.
        system: the system message to begin with.
    """

    id: str
    key: str | None
    reuse: bool
    title: str | None
    provider: str | None
    model: str | None
    anonymous_user_id: str
    settings: str | None
    metadata: str | None
    system: NewMessage | None
    now_ms: int
    expires_at_ms: int | None = None


OWNER_BY_NAME = Hot(select(owner.c.id).where(owner.c.name == bindparam("name")))
PERSONAL_OWNER = Hot(select(store_meta.c.value).where(store_meta.c.name == PERSONAL))
_ADD_OWNER = Hot(insert(owner))
_SET_META = Hot(insert(store_meta))
BY_KEY = Hot(
    select(conversation.c.id, and_(*KEPT)).where(
        conversation.c.owner_id == bindparam("owner_id"), conversation.c.key == bindparam("key")
    )
)
_MOVED_FROM = Hot(
    select(conversation.c.id).where(
        conversation.c.owner_id == bindparam("owner_id"),
        conversation.c.scope == bindparam("key"),
        conversation.c.key.is_not(None),
        *KEPT,
    )
)
# Only from the bin, or from what has expired: one that was brought back meanwhile keeps it, and the index says so.
_TAKE_KEY = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
        ~and_(*KEPT),
    )
    .values(key=null(), scope=func.coalesce(conversation.c.scope, conversation.c.key))
)
_HANDLE = Hot(
    select(conversation.c.id).where(
        conversation.c.owner_id == bindparam("owner_id"),
        conversation.c.handle == bindparam("handle"),
    )
)
_ADD = Hot(insert(conversation))


def ensure_owners(tx: Tx, _: str, jobs: Sequence[EnsureOwner]) -> list[str]:
    """Return each owner's id, making those that are new."""
    return [_ensure_owner(tx, job) for job in jobs]


def _ensure_owner(tx: Tx, job: EnsureOwner) -> str:
    found = tx.rows(PERSONAL_OWNER) if job.name is None else tx.rows(OWNER_BY_NAME, name=job.name)
    if found:
        return str(found[0][0])
    id_ = new_owner_id()
    # An owner without a name is named after its id, which nobody types by chance.
    tx.run(_ADD_OWNER, id=id_, name=job.name or id_, created_at_ms=job.now_ms)
    if job.name is None:
        tx.run(_SET_META, name=PERSONAL, value=id_)
    return id_


def create_conversations(
    tx: Tx, owner_id: str, jobs: Sequence[NewConversation]
) -> list[str | OwnerGone | ConvostoreError]:
    """Store new conversations and return their ids; for a key to be reused, the id it has.

    A key that only a conversation in the bin has, or one that has expired, is taken from it.
    """
    if not tx.rows(OWNER_IS_THERE, owner_id=owner_id):
        return [OwnerGone()] * len(jobs)
    return [_create(tx, owner_id, job) for job in jobs]


def _create(tx: Tx, owner_id: str, job: NewConversation) -> str | ConvostoreError:
    if is_made(tx, owner_id, job.id):
        return job.id
    moved = None
    if job.key is not None:
        taken = claim_key(tx, owner_id, job.key)
        moved = None if taken else moved_from(tx, owner_id, job.key)
        if job.reuse and (taken or moved):
            return taken or moved or ""
        if taken is not None:
            return key_taken(job.key)
    empty = dict.fromkeys(column.name for column in conversation.c)
    tx.run(
        _ADD,
        **empty
        | {
            "owner_id": owner_id,
            "id": job.id,
            "handle": free_handle(tx, owner_id),
            "key": job.key,
            "scope": job.id if moved else None,  # the first of that key has its own repeats
            "title": job.title,
            "title_source": None if job.title is None else "user",
            "provider": job.provider,
            "model": job.model,
            "anonymous_user_id": job.anonymous_user_id,
            "settings": job.settings,
            "metadata": job.metadata,
            "last_seq": 0,
            "message_count": 0,
            "interrupted_count": 0,
            "pinned": 0,
            "expires_at_ms": job.expires_at_ms,
            "created_at_ms": job.now_ms,
            "updated_at_ms": job.now_ms,
        },
    )
    if job.title is not None:
        mark_title(tx, owner_id, job.id)
    if job.system is not None:
        first = Append(conversation_id=job.id, messages=(job.system,), now_ms=job.now_ms)
        append_messages(tx, owner_id, [first])
    return job.id


def claim_key(tx: Tx, owner_id: str, key: str) -> str | None:
    """Return the id of the conversation that has a key; None where it is free for another one.

    A key that only a conversation in the bin has, or one that has expired, is taken from it.
    """
    taken = tx.rows(BY_KEY, owner_id=owner_id, key=key)
    if taken and taken[0][1]:
        return str(taken[0][0])
    if taken:
        tx.run(_TAKE_KEY, of_owner_id=owner_id, of_id=taken[0][0])
    return None


def moved_from(tx: Tx, owner_id: str, key: str) -> str | None:
    """Return the conversation that was first called by a key, and is by another one now."""
    rows = tx.rows(_MOVED_FROM, owner_id=owner_id, key=key)
    return str(rows[0][0]) if rows else None


def key_taken(key: str) -> DuplicateKeyError:
    """Return the error for a key that another conversation has."""
    return DuplicateKeyError(
        f"there is a conversation with the key {key} already",
        hint="use get_or_create(key=...), or choose another key",
    )


def free_handle(tx: Tx, owner_id: str, wanted: str | None = None) -> str:
    """Return a handle that no conversation of this owner has; *wanted*, if that is free."""
    handle = wanted or new_handle()
    while tx.rows(_HANDLE, owner_id=owner_id, handle=handle):
        handle = new_handle()  # ends: 2**40 handles, and no owner has as many conversations
    return handle
