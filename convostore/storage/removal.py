"""The one place where messages and whole conversations leave the tables, with all that hangs on them.

Whatever is kept beside a message is taken out here, words of the search index first. What was
paid for the model calls (`usage`) stays. Rows that are gone are still in the engine's files until
they are scrubbed (`scrub_note.py`), so each removal leaves the note that this is owed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, select

from convostore.storage.attachments import let_go, let_go_of_all
from convostore.storage.checkpoint_forgetting import forget_in_checkpoints
from convostore.storage.journal import clear_journals
from convostore.storage.scrub_note import owe_scrub
from convostore.storage.search_shelf import take_out
from convostore.storage.search_tables import indexed
from convostore.storage.statements import Hot
from convostore.storage.tables import (
    CHECKPOINTS,
    conversation,
    journal,
    message,
    remote_thread,
    search_pending,
    source_record,
    summary,
    tag,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Table

    from convostore.storage.statements import Tx


def _of_message(table: Table, seq: str) -> Hot:
    return Hot(
        delete(table).where(
            table.c.owner_id == bindparam("owner_id"),
            table.c.conversation_id == bindparam("conversation_id"),
            table.c[seq] == bindparam("seq"),
        )
    )


def _of_conversation(table: Table, id_: str = "conversation_id") -> Hot:
    return Hot(
        delete(table).where(
            table.c.owner_id == bindparam("owner_id"), table.c[id_] == bindparam("id")
        )
    )


GONE_REMOTE = _of_message(remote_thread, "message_seq")
GONE_ORIGINAL = _of_message(source_record, "seq")
_GONE_SUMMARY = _of_message(summary, "message_seq")
_GONE = _of_message(message, "seq")
_BESIDE = (journal, remote_thread, summary, search_pending, source_record, tag, message)
# What hangs on a row goes before it.
_ALL_GONE = (
    *map(_of_conversation, (*_BESIDE, *CHECKPOINTS)),
    _of_conversation(conversation, "id"),
)
_TEXT = Hot(
    select(message.c.text).where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq == bindparam("seq"),
    )
)
_INDEXED = Hot(
    select(indexed.c.seq).where(
        indexed.c.owner_id == bindparam("owner_id"),
        indexed.c.conversation_id == bindparam("conversation_id"),
    )
)


def remove_messages(tx: Tx, owner_id: str, conversation_id: str, seqs: Iterable[int]) -> None:
    """Take messages out of a conversation that stays."""
    at = {"owner_id": owner_id, "conversation_id": conversation_id}
    gone = sorted(seqs, reverse=True)
    said = {seq: text for seq in gone for (text,) in tx.rows(_TEXT, **at, seq=seq)}
    forget_in_checkpoints(tx, owner_id, conversation_id, said, gone=True)
    take_out(tx, owner_id, [(conversation_id, seq) for seq in gone])
    clear_journals(tx, owner_id, [(conversation_id, seq) for seq in gone])
    let_go(tx, owner_id, conversation_id, gone)
    for hot in (GONE_REMOTE, GONE_ORIGINAL, _GONE_SUMMARY, _GONE):
        tx.many(hot, [{**at, "seq": seq} for seq in gone])
    owe_scrub(tx)


def remove_conversations(tx: Tx, owner_id: str, ids: Sequence[str]) -> None:
    """Take whole conversations out; nothing is left of them but what was paid."""
    for id_ in ids:
        found = tx.rows(_INDEXED, owner_id=owner_id, conversation_id=id_)
        take_out(tx, owner_id, [(id_, seq) for (seq,) in found])
        let_go_of_all(tx, owner_id, id_)
    for hot in _ALL_GONE:
        tx.many(hot, [{"owner_id": owner_id, "id": id_} for id_ in ids])
    if ids:
        owe_scrub(tx)
