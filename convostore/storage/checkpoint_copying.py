"""Copying all checkpoints of a conversation, and the messages that they show, to another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, insert, select

from convostore.errors import ConversationBusyError, ConvostoreError, DuplicateKeyError
from convostore.ids import new_id
from convostore.storage.attachments import refer, references
from convostore.storage.checkpoint_tables import checkpoint
from convostore.storage.checkpoints import Stored, is_called
from convostore.storage.journal import count_interrupted
from convostore.storage.search_marks import add_messages
from convostore.storage.standing import keep_standings, no_conversation, standings
from convostore.storage.statements import Hot
from convostore.storage.tables import CHECKPOINTS, message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table

    from convostore.storage.statements import Tx


class CopyCheckpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Copy everything of one conversation's graph to an empty conversation.

    Attributes:
        conversation_id: the empty one.
        key: its; one that has another by now is not meant.
        source_id: the one to copy from.
    """

    conversation_id: str
    key: str
    source_id: str
    now_ms: int


def _all(table: Table) -> Hot:
    return Hot(
        select(table)
        .where(
            table.c.owner_id == bindparam("owner_id"),
            table.c.conversation_id == bindparam("conversation_id"),
        )
        .order_by(*table.primary_key.columns)
    )


_ANY = Hot(
    select(checkpoint.c.id)
    .where(
        checkpoint.c.owner_id == bindparam("owner_id"),
        checkpoint.c.conversation_id == bindparam("conversation_id"),
    )
    .limit(1)
)
_MESSAGES = _all(message)
_TABLES = tuple((table, _all(table), Hot(insert(table))) for table in CHECKPOINTS)
_OWN = {"idempotency_key": None, "lease": None}  # of the original alone


def copy_checkpoints(
    tx: Tx, owner_id: str, jobs: Sequence[CopyCheckpoints]
) -> list[Stored | ConvostoreError]:
    """Copy states, writes, items and the tree of messages; numbers stay, ids of messages are new."""
    return [_copy(tx, owner_id, job) for job in jobs]


def _copy(tx: Tx, owner_id: str, job: CopyCheckpoints) -> Stored | ConvostoreError:
    found = standings(tx, owner_id, [job.conversation_id, job.source_id])
    to, source = found.get(job.conversation_id), found.get(job.source_id)
    if source is None:
        return no_conversation(tx, owner_id, job.source_id)
    if to is None or not is_called(tx, owner_id, job.conversation_id, job.key):
        return Stored(False)
    at = {"owner_id": owner_id, "conversation_id": job.conversation_id}
    if to.last_seq or tx.rows(_ANY, **at):
        return Stored(True) if tx.again else _taken()
    if source.running:
        return ConversationBusyError(
            "a reply of the conversation to copy is still being written",
            hint="wait until it has ended, or stop it",
        )
    of = {"owner_id": owner_id, "conversation_id": job.source_id}
    messages = _rows(tx, message, _MESSAGES, of)
    add_messages(tx, [one | at | _OWN | {"id": new_id()} for one in messages])
    for seq, attached in references(tx, owner_id, job.source_id).items():
        refer(tx, owner_id, job.conversation_id, seq, attached)
    for table, every, add in _TABLES:
        tx.many(add, [one | at for one in _rows(tx, table, every, of)])
    to.head_seq, to.last_seq = source.head_seq, source.last_seq
    to.message_count = source.message_count
    to.updated_at_ms = max(to.updated_at_ms, job.now_ms)
    to.title, to.title_source = source.title, source.title_source
    to.moved = True
    keep_standings(tx, owner_id, [to])
    interrupted = sum(one["status"] == "interrupted" for one in messages)
    count_interrupted(tx, owner_id, job.conversation_id, interrupted)
    return Stored(True)


def _rows(tx: Tx, table: Table, every: Hot, of: dict[str, str]) -> list[dict[str, Any]]:
    names = [column.name for column in table.c]
    return [dict(zip(names, row, strict=True)) for row in tx.rows(every, **of)]


def _taken() -> DuplicateKeyError:
    return DuplicateKeyError(
        "the conversation to copy to is not empty",
        hint="copy to a thread of a new name, or delete that one before",
    )
