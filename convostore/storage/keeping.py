"""Keeping an ephemeral conversation: its records, read in one store and stored in another.

Everything stays as it is, ids, numbers, times and hashes: only the owner's id is the other store's,
and the handle, where it is taken there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, insert, select

from convostore.errors import ConversationBusyError, ConvostoreError, DuplicateKeyError
from convostore.storage.attachments import refer, references, refuse_missing
from convostore.storage.canonical import to_json
from convostore.storage.conversations import (
    claim_key,
    free_handle,
    key_taken,
)
from convostore.storage.kept import KEPT
from convostore.storage.owner_rows import OWNER_IS_THERE, OwnerGone
from convostore.storage.search_marks import add_messages, mark_title
from convostore.storage.standing import no_conversation
from convostore.storage.statements import Hot, one_of
from convostore.storage.tables import conversation, message, remote_thread, summary, tag, usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table

    from convostore.storage.statements import Tx

Named = dict[str, Any]


class TakeRecords(msgspec.Struct, frozen=True, kw_only=True):
    """Read all that there is of a conversation."""

    conversation_id: str


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """All that there is of a conversation: rows by the names of their columns.

    Attributes:
        conversation: its own row.
        messages: in order of their numbers.
        attached: what each message refers to, by its number: contents by their sha256, in order.
    """

    conversation: Named
    messages: list[Named]
    tags: list[Named]
    calls: list[Named]
    threads: list[Named]
    summaries: list[Named]
    attached: dict[int, list[str]]

    def contents(self) -> list[str]:
        """Return what its messages refer to, each once."""
        return sorted({sha256 for contents in self.attached.values() for sha256 in contents})


def _all_of(table: Table, order: str) -> Hot:
    return Hot(
        select(table)
        .where(
            table.c.owner_id == bindparam("owner_id"),
            table.c.conversation_id == bindparam("conversation_id"),
        )
        .order_by(table.c[order])
    )


_CONVERSATION = Hot(
    select(conversation).where(
        conversation.c.owner_id == bindparam("owner_id"),
        conversation.c.id == bindparam("conversation_id"),
        *KEPT,
    )
)
_MESSAGES = _all_of(message, "seq")
_TAGS = _all_of(tag, "name")
_CALLS = _all_of(usage, "id")
_THREADS = _all_of(remote_thread, "message_seq")
_SUMMARIES = _all_of(summary, "message_seq")
_ADD = Hot(insert(conversation))
_ADD_TAG = Hot(insert(tag))
_ADD_CALL = Hot(insert(usage))
_ADD_THREAD = Hot(insert(remote_thread))
_ADD_SUMMARY = Hot(insert(summary))
_STORED = Hot(
    select(conversation.c.handle).where(
        conversation.c.owner_id == bindparam("owner_id"), conversation.c.id == bindparam("id")
    )
)
_SAID = Hot(
    select(message.c.seq, message.c.id, message.c.content_hash)
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
    )
    .order_by(message.c.seq)
)
_TAKEN = Hot(
    select(message.c.id).where(
        message.c.owner_id == bindparam("owner_id"), one_of(message.c.id, "ids")
    )
)


def take_records(
    tx: Tx, owner_id: str, jobs: Sequence[TakeRecords]
) -> list[Records | ConvostoreError]:
    """Return what there is of each conversation; nothing changes."""
    return [_take(tx, owner_id, job.conversation_id) for job in jobs]


def _take(tx: Tx, owner_id: str, conversation_id: str) -> Records | ConvostoreError:
    def rows(hot: Hot, table: Table) -> list[Named]:
        names = [column.name for column in table.c]
        found = tx.rows(hot, owner_id=owner_id, conversation_id=conversation_id)
        return [dict(zip(names, row, strict=True)) for row in found]

    own = rows(_CONVERSATION, conversation)
    if not own:
        return no_conversation(tx, owner_id, conversation_id)
    messages = rows(_MESSAGES, message)
    if any(one["status"] == "streaming" for one in messages):
        return ConversationBusyError(
            "a reply of this conversation is still running",
            hint="keep it when the reply has ended",
        )
    return Records(
        conversation=own[0],
        messages=messages,
        tags=rows(_TAGS, tag),
        calls=rows(_CALLS, usage),
        threads=rows(_THREADS, remote_thread),
        summaries=[one for one in rows(_SUMMARIES, summary) if one["text"] is not None],
        attached=references(tx, owner_id, conversation_id),
    )


def keep_conversations(
    tx: Tx, owner_id: str, jobs: Sequence[Records]
) -> list[str | OwnerGone | ConvostoreError]:
    """Store each conversation under this owner, and return its handle; what it refers to is there.

    One that an earlier try has stored, and that says the same, is stored once.
    """
    if not tx.rows(OWNER_IS_THERE, owner_id=owner_id):
        return [OwnerGone()] * len(jobs)
    return [_keep(tx, owner_id, job) for job in jobs]


def _keep(tx: Tx, owner_id: str, job: Records) -> str | ConvostoreError:
    id_, key = job.conversation["id"], job.conversation["key"]
    stored = tx.rows(_STORED, owner_id=owner_id, id=id_)
    if stored:
        return str(stored[0][0]) if tx.again or _is_same(tx, owner_id, job) else _gone_on()
    refused = refuse_missing(tx, owner_id, job.contents()) or _refuse_taken(tx, owner_id, job)
    if refused is not None:
        return refused
    if key is not None and claim_key(tx, owner_id, key) is not None:
        return key_taken(key)
    owned = {"owner_id": owner_id}
    handle = free_handle(tx, owner_id, job.conversation["handle"])
    tx.run(_ADD, **job.conversation | owned | {"handle": handle})
    tx.many(_ADD_TAG, [row | owned for row in job.tags])
    add_messages(tx, [row | owned for row in job.messages])
    mark_title(tx, owner_id, id_)
    for seq, contents in job.attached.items():
        refer(tx, owner_id, id_, seq, contents)
    tx.many(_ADD_THREAD, [row | owned for row in job.threads])
    tx.many(_ADD_SUMMARY, [row | owned for row in job.summaries])
    tx.many(_ADD_CALL, [row | owned for row in job.calls])
    return handle


def _is_same(tx: Tx, owner_id: str, job: Records) -> bool:
    """Tell whether the conversation that is stored has exactly these messages."""
    names = ("seq", "id", "content_hash")
    said = tx.rows(_SAID, owner_id=owner_id, conversation_id=job.conversation["id"])
    return [tuple(row) for row in said] == [
        tuple(one[name] for name in names) for one in job.messages
    ]


def _refuse_taken(tx: Tx, owner_id: str, job: Records) -> DuplicateKeyError | None:
    ids = to_json([one["id"] for one in job.messages])
    found = tx.rows(_TAKEN, owner_id=owner_id, ids=ids) if job.messages else []
    if not found:
        return None
    return DuplicateKeyError(
        f"there is a message with the id {found[0][0]} already", hint="keep a fork of it instead"
    )


def _gone_on() -> DuplicateKeyError:
    return DuplicateKeyError(
        "the conversation was kept before, and something else was said since",
        hint="keep a fork of it instead",
    )
