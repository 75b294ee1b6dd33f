"""Rooms of bots: a conversation gets another key, or gives its key to one that begins anew.

What repeats are known by (`scope`) is the room's first key, and stays: each message's idempotency
key is stored within it, and is found again whatever the room is called by now, and in those of its
conversations that were set aside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, bindparam, func, insert, null, select, update

from convostore import clock
from convostore.errors import DuplicateKeyError
from convostore.storage.appends import Append, append_messages
from convostore.storage.checkpoint_tables import checkpoint
from convostore.storage.conversations import BY_KEY, claim_key, free_handle, moved_from
from convostore.storage.deleting import MoveBin, move_bins
from convostore.storage.exchanges import NewMessage
from convostore.storage.kept import KEPT
from convostore.storage.retold import is_made
from convostore.storage.search_marks import mark_title
from convostore.storage.standing import no_conversation
from convostore.storage.statements import Hot
from convostore.storage.tables import conversation, message, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.errors import ConvostoreError
    from convostore.storage.statements import Row, Tx


class RenameKey(msgspec.Struct, frozen=True, kw_only=True):
    """Call the conversation of one key by another one."""

    old: str
    new: str


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """Begin a conversation anew, under the same key.

    Attributes:
        id: of the new one; `system_id` is that of its system message.
        anonymous_user_id: who the new one is on the far side.
    """

    conversation_id: str
    id: str
    system_id: str
    anonymous_user_id: str
    now_ms: int


_CARRIED = ("provider", "model", "settings", "metadata", "folder", "pinned", "expires_at_ms")
_OF_OLD = ("key", "scope", "title", "title_source", *_CARRIED)
_OWNED = conversation.c.owner_id == bindparam("owner_id")
_CHANGED = (
    conversation.c.owner_id == bindparam("of_owner_id"),
    conversation.c.id == bindparam("of_id"),
)
_FIRST_KEY = func.coalesce(conversation.c.scope, conversation.c.key)
_RENAME = Hot(
    update(conversation)
    .where(*_CHANGED)
    .values(key=bindparam("new_key"), scope=_FIRST_KEY, listed_at_ms=bindparam("now_ms"))
)
_SET_ASIDE = Hot(
    update(conversation)
    .where(*_CHANGED)
    .values(key=null(), scope=_FIRST_KEY, listed_at_ms=bindparam("now_ms"))
)
_OLD = Hot(
    select(*(conversation.c[name] for name in _OF_OLD))
    .where(_OWNED, conversation.c.id == bindparam("id"), *KEPT)
    .with_for_update()
)
_IN_IT = (
    message.c.owner_id == bindparam("owner_id"),
    message.c.conversation_id == bindparam("id"),
)
_SAID = Hot(select(message.c.seq).where(*_IN_IT, message.c.role != "system").limit(1))
_HAS_STATES = Hot(
    select(checkpoint.c.id)
    .where(
        checkpoint.c.owner_id == bindparam("owner_id"),
        checkpoint.c.conversation_id == bindparam("id"),
    )
    .limit(1)
)
# So that nothing is said in them before it is decided which gives way.
_HELD = Hot(
    select(conversation.c.key, conversation.c.id, and_(*KEPT))
    .where(_OWNED, conversation.c.key.in_([bindparam("old"), bindparam("new")]))
    .order_by(conversation.c.key)
    .with_for_update(key_share=True)
)
KEYS_BELOW = Hot(
    select(conversation.c.key).where(
        _OWNED,
        conversation.c.key >= bindparam("key_low"),
        conversation.c.key < bindparam("key_high"),
        *KEPT,
    )
)
_SYSTEM = Hot(
    select(message.c.text)
    .where(*_IN_IT, message.c.role == "system", message.c.parent_seq.is_(None))
    .order_by(message.c.seq)
    .limit(1)
)
_TAGS = Hot(
    select(tag.c.name).where(
        tag.c.owner_id == bindparam("owner_id"), tag.c.conversation_id == bindparam("id")
    )
)
_ADD = Hot(insert(conversation))
_ADD_TAG = Hot(insert(tag))


def rename_keys(tx: Tx, owner_id: str, jobs: Sequence[RenameKey]) -> list[bool | ConvostoreError]:
    """Give conversations other keys; tell whether there is one of the new key by now.

    Where both keys have one, and nothing was said in one of them, that one goes to the bin.
    """
    return [_rename(tx, owner_id, job) for job in jobs]


def _rename(tx: Tx, owner_id: str, job: RenameKey) -> bool | ConvostoreError:
    held = tx.rows(_HELD, owner_id=owner_id, old=job.old, new=job.new)
    kept = {key: id_ for key, id_, is_kept in held if is_kept}
    if job.old not in kept:  # renamed before, or never there
        return job.new in kept
    if job.old != job.new:
        old_id, now_ms = kept[job.old], clock.now_ms()
        new_id = claim_key(tx, owner_id, job.new)
        if new_id != kept.get(job.new):  # made, or gone, since
            return _rename(tx, owner_id, job)
        if new_id is not None and not _is_untouched(tx, owner_id, new_id):
            if not _is_untouched(tx, owner_id, old_id):
                return DuplicateKeyError(
                    f"both {job.old} and {job.new} are keys of conversations here",
                    hint="delete one of the two conversations, or give it another key first",
                )
            _bin(tx, owner_id, old_id, now_ms)
            return True
        if new_id is not None:
            _bin(tx, owner_id, new_id, now_ms)
            claim_key(tx, owner_id, job.new)
        at = {"of_owner_id": owner_id, "of_id": old_id}
        tx.run(_RENAME, **at, new_key=job.new, now_ms=now_ms)
    return True


def _is_untouched(tx: Tx, owner_id: str, id_: str) -> bool:
    """Tell whether a conversation was made, and no more: nothing was said in it, and no graph ran."""
    at = {"owner_id": owner_id, "id": id_}
    return not (tx.rows(_SAID, **at) or tx.rows(_HAS_STATES, **at))


def _bin(tx: Tx, owner_id: str, id_: str, now_ms: int) -> None:
    move_bins(tx, owner_id, [MoveBin(conversation_id=id_, deleted_at_ms=now_ms)])


def reset_conversations(
    tx: Tx, owner_id: str, jobs: Sequence[Reset]
) -> list[str | ConvostoreError]:
    """Set each conversation aside, and return the id of the one that has its key from now on.

    Where somebody else has just done so, that is the one which was made then; where nothing was
    said yet, it is the same one.
    """
    return [_reset(tx, owner_id, job) for job in jobs]


def _reset(tx: Tx, owner_id: str, job: Reset) -> str | ConvostoreError:
    if is_made(tx, owner_id, job.id):
        return job.id
    at = {"owner_id": owner_id, "id": job.conversation_id}
    found = tx.rows(_OLD, **at)
    if not found:
        return no_conversation(tx, owner_id, job.conversation_id)
    old = dict(zip(_OF_OLD, found[0], strict=True))
    if old["key"] is None and old["scope"] is not None:
        successor = _has_key_of(tx, owner_id, old["scope"])
        if successor is not None:
            return successor
    if not tx.rows(_SAID, **at):
        return job.conversation_id
    of = {"of_owner_id": owner_id, "of_id": job.conversation_id}
    tx.run(_SET_ASIDE, **of, now_ms=clock.now_ms())
    _begin(tx, owner_id, job, old)
    return job.id


def _has_key_of(tx: Tx, owner_id: str, scope: str) -> str | None:
    """Return the conversation in which the room of that scope goes on; None where there is none."""
    named: list[Row] = tx.rows(BY_KEY, owner_id=owner_id, key=scope)
    if named and named[0][1]:
        return str(named[0][0])
    return moved_from(tx, owner_id, scope)


def _begin(tx: Tx, owner_id: str, job: Reset, old: dict[str, Any]) -> None:
    at = {"owner_id": owner_id, "id": job.conversation_id}
    titled = old["title_source"] == "user"
    tx.run(
        _ADD,
        **dict.fromkeys(column.name for column in conversation.c)
        | {name: old[name] for name in _CARRIED}
        | {
            "owner_id": owner_id,
            "id": job.id,
            "handle": free_handle(tx, owner_id),
            "key": old["key"],
            "scope": old["scope"],
            "title": old["title"] if titled else None,
            "title_source": "user" if titled else None,
            "anonymous_user_id": job.anonymous_user_id,
            "last_seq": 0,
            "message_count": 0,
            "interrupted_count": 0,
            "created_at_ms": job.now_ms,
            "updated_at_ms": job.now_ms,
        },
    )
    if titled:
        mark_title(tx, owner_id, job.id)
    new = {"owner_id": owner_id, "conversation_id": job.id}
    tx.many(_ADD_TAG, [new | {"name": name} for (name,) in tx.rows(_TAGS, **at)])
    system = [text for (text,) in tx.rows(_SYSTEM, **at) if text]
    if system:
        first = NewMessage(id=job.system_id, role="system", text=system[0])
        begin = Append(conversation_id=job.id, messages=(first,), now_ms=job.now_ms)
        append_messages(tx, owner_id, [begin])
