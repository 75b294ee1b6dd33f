"""A conversation of its own from the beginning of another: copies of the messages of a path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, insert, select

from convostore.errors import ConversationBusyError, ConvostoreError
from convostore.ids import new_id
from convostore.storage.attachments import refer, references
from convostore.storage.branches import no_message
from convostore.storage.conversations import free_handle
from convostore.storage.kept import KEPT
from convostore.storage.retold import is_made
from convostore.storage.search_marks import add_messages, mark_title
from convostore.storage.standing import no_conversation
from convostore.storage.statements import Hot
from convostore.storage.tables import conversation, message, tag
from convostore.storage.tombstones import FORK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.storage.statements import Row, Tx

_KEPT = ("title", "title_source", "provider", "model", "settings", "metadata", "folder")


class Fork(msgspec.Struct, frozen=True, kw_only=True):
    """A new conversation that begins as another one did.

    Attributes:
        conversation_id: the one to copy from.
        message_seq: the last message to copy, with all above it.
        id: of the new conversation.
        title: None is the same as there.
        anonymous_user_id: who the new one is on the far side.
    """

    conversation_id: str
    message_seq: int
    id: str
    title: str | None
    anonymous_user_id: str
    now_ms: int


_ORIGIN = Hot(
    select(*(conversation.c[name] for name in _KEPT)).where(
        conversation.c.owner_id == bindparam("owner_id"),
        conversation.c.id == bindparam("id"),
        *KEPT,
    )
)
_TAGS = Hot(
    select(tag.c.name).where(
        tag.c.owner_id == bindparam("owner_id"),
        tag.c.conversation_id == bindparam("conversation_id"),
    )
)
_ADD = Hot(insert(conversation))
_ADD_TAG = Hot(insert(tag))
_COLUMNS = tuple(column.name for column in message.c)
_UP_TO = Hot(
    select(message)
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq <= bindparam("seq"),
    )
    .order_by(message.c.seq.desc())
)


def fork_conversations(tx: Tx, owner_id: str, jobs: Sequence[Fork]) -> list[str | ConvostoreError]:
    """Store each new conversation with its copies, and return its id.

    Copies keep content, status, author, model, times and so their hashes; ids and numbers are
    new. Idempotency keys, usage and remote threads stay with the original alone, and so does the
    JSON of another program: a fork is none of its conversations.
    """
    return [_fork(tx, owner_id, job) for job in jobs]


def _fork(tx: Tx, owner_id: str, job: Fork) -> str | ConvostoreError:
    if is_made(tx, owner_id, job.id):
        return job.id
    origin = tx.rows(_ORIGIN, owner_id=owner_id, id=job.conversation_id)
    if not origin:
        return no_conversation(tx, owner_id, job.conversation_id)
    at = {"conversation_id": job.conversation_id, "seq": job.message_seq}
    path = _path(tx.rows(_UP_TO, owner_id=owner_id, **at), job.message_seq)
    if not path:
        return no_message(job.message_seq)
    if any(one["status"] == "streaming" for one in path):
        return ConversationBusyError(
            "the messages to copy end in a reply that is still running",
            hint="wait until it has ended, or fork at the question above it",
        )
    kept = dict(zip(_KEPT, origin[0], strict=True))
    if job.title is not None:
        kept |= {"title": job.title, "title_source": "user"}
    row: dict[str, Any] = dict.fromkeys(column.name for column in conversation.c)
    tx.run(
        _ADD,
        **row
        | kept
        | {
            "owner_id": owner_id,
            "id": job.id,
            "handle": free_handle(tx, owner_id),
            "anonymous_user_id": job.anonymous_user_id,
            "head_seq": len(path),
            "last_seq": len(path),
            "message_count": len(path),
            "interrupted_count": sum(one["status"] == "interrupted" for one in path),
            "pinned": 0,
            "created_at_ms": job.now_ms,
            "updated_at_ms": job.now_ms,
            "source": FORK,
            "source_id": job.conversation_id,
        },
    )
    tags = tx.rows(_TAGS, owner_id=owner_id, conversation_id=job.conversation_id)
    new = {"owner_id": owner_id, "conversation_id": job.id}
    tx.many(_ADD_TAG, [new | {"name": name} for (name,) in tags])
    add_messages(tx, [_copy(one, seq, job.id) for seq, one in enumerate(path, start=1)])
    mark_title(tx, owner_id, job.id)
    referred = references(tx, owner_id, job.conversation_id)
    for seq, one in enumerate(path, start=1):
        refer(tx, owner_id, job.id, seq, referred.get(one["seq"], ()))
    return job.id


def _path(rows: Sequence[Row], last_seq: int) -> list[dict[str, Any]]:
    """Choose from rows, newest first, those from *last_seq* up to the root; return them in order."""
    way: list[dict[str, Any]] = []
    wanted: int | None = last_seq
    for row in rows:
        one = dict(zip(_COLUMNS, row, strict=True))
        if one["seq"] == wanted:
            way.append(one)
            wanted = one["parent_seq"]
    return way[::-1]


def _copy(one: dict[str, Any], seq: int, conversation_id: str) -> dict[str, Any]:
    """Return the row of a copy, the *seq*-th of its conversation."""
    return one | {
        "conversation_id": conversation_id,
        "seq": seq,
        "id": new_id(),
        "parent_seq": seq - 1 or None,
        "idempotency_key": None,
        "lease": None,
    }
