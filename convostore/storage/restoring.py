"""Taking a conversation of our own export back: whole or not at all, and once, however often.

A new one is stored as it was, ids, numbers, times and hashes; its handle and key where they are free.
One that is there already gets what it does not have (`rejoining.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from sqlalchemy import bindparam, insert, select

from convostore.errors import ConvostoreError, DuplicateKeyError
from convostore.storage.attachments import missing, refer
from convostore.storage.canonical import to_json
from convostore.storage.conversations import free_handle
from convostore.storage.newcomers import ContentsMissing, Imported
from convostore.storage.originals import add_originals
from convostore.storage.owner_rows import OWNER_HELD, OwnerGone
from convostore.storage.rejoining import ADD_CALL, ADD_TAG, OwnRows, rejoin
from convostore.storage.search_marks import add_messages, mark_title
from convostore.storage.statements import Hot, one_of
from convostore.storage.tables import conversation, message
from convostore.storage.tombstones import drop_tombstones, hashes_of, purged_before

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.storage.statements import Tx

Outcome: TypeAlias = Imported | ContentsMissing | OwnerGone | ConvostoreError

_STORED: Final = Hot(
    select(conversation)
    .where(conversation.c.owner_id == bindparam("owner_id"), conversation.c.id == bindparam("id"))
    .with_for_update()
)
_KEY: Final = Hot(
    select(conversation.c.id).where(
        conversation.c.owner_id == bindparam("owner_id"), conversation.c.key == bindparam("key")
    )
)
_TAKEN: Final = Hot(
    select(message.c.id, message.c.conversation_id).where(
        message.c.owner_id == bindparam("owner_id"), one_of(message.c.id, "ids")
    )
)
_ONCE: Final = Hot(
    select(message.c.idempotency_key).where(
        message.c.owner_id == bindparam("owner_id"), one_of(message.c.idempotency_key, "keys")
    )
)
_ADD: Final = Hot(insert(conversation))
_COLUMNS: Final = tuple(column.name for column in conversation.c)


def restore_conversations(tx: Tx, owner_id: str, jobs: Sequence[OwnRows]) -> list[Outcome]:
    """Store each conversation whole, or what came to it since it was stored.

    What it marks for the search index is left until `imports_ended`, as of other imports.
    """
    if not tx.rows(OWNER_HELD, owner_id=owner_id):
        return [OwnerGone()] * len(jobs)
    marked = tx.marked
    outcomes = [_restore(tx, owner_id, job) for job in jobs]
    tx.marked = marked
    return outcomes


def _restore(tx: Tx, owner_id: str, job: OwnRows) -> Outcome:
    row = job.conversation
    stored = tx.rows(_STORED, owner_id=owner_id, id=row["id"])
    purged = () if stored else purged_before(tx, owner_id, _tombstones(owner_id, row))
    if (purged or (not stored and job.is_over())) and not job.restore:
        return Imported(kept="deleted", title=row["title"])
    if (refused := _refuse(tx, owner_id, job, new=not stored)) is not None:
        return refused
    if not job.dry_run and (lacking := missing(tx, owner_id, job.contents())):
        return ContentsMissing(lacking)
    if stored:
        there = dict(zip(_COLUMNS, stored[0], strict=True))
        if tx.again and there["anonymous_user_id"] == row["anonymous_user_id"]:
            return _added(job, there["handle"])  # an earlier try has stored it
        return rejoin(tx, owner_id, _fitting(tx, owner_id, job, there["key"]), there)
    if purged and not job.dry_run:
        drop_tombstones(tx, owner_id, purged)
    return (
        _added(job, None) if job.dry_run else _add(tx, owner_id, _fitting(tx, owner_id, job, None))
    )


def _tombstones(owner_id: str, row: dict[str, Any]) -> list[str]:
    return hashes_of(owner_id, row["id"], row["source"], row["source_id"])


def _refuse(tx: Tx, owner_id: str, job: OwnRows, *, new: bool) -> DuplicateKeyError | None:
    """Return the error where another conversation has a message of it, or nothing has the messages."""
    if new and job.listed:
        return DuplicateKeyError(
            "it is told as unchanged since an earlier export, and is not here",
            hint="import that export first",
        )
    ids = to_json(sorted(one["id"] for one in job.messages))
    for id_, at in tx.rows(_TAKEN, owner_id=owner_id, ids=ids) if job.messages else ():
        if at != job.conversation["id"]:
            return DuplicateKeyError(
                f"another conversation here has its message {id_}",
                hint="it was kept, or forked, under another id",
            )
    return None


def _fitting(tx: Tx, owner_id: str, job: OwnRows, own_key: str | None) -> OwnRows:
    """Return the job without the names that somebody else has here."""
    key = job.conversation["key"]
    if key is not None and key != own_key and tx.rows(_KEY, owner_id=owner_id, key=key):
        scope = job.conversation["scope"] or key  # its messages' own keys are kept under that
        row = job.conversation | {"key": own_key, "scope": scope}
        job = msgspec.structs.replace(job, conversation=row)
    keys = sorted({one["idempotency_key"] for one in job.messages if one["idempotency_key"]})
    taken = (
        {one for (one,) in tx.rows(_ONCE, owner_id=owner_id, keys=to_json(keys))} if keys else ()
    )
    if taken:
        free = [
            one | {"idempotency_key": None} if one["idempotency_key"] in taken else one
            for one in job.messages
        ]
        job = msgspec.structs.replace(job, messages=free)
    return job


def _add(tx: Tx, owner_id: str, job: OwnRows) -> Imported:
    row, owned = job.conversation, {"owner_id": owner_id}
    listed_at_ms = job.told_at_ms
    if job.restore:
        if job.is_over():
            listed_at_ms = job.now_ms  # the same file does not undo it
        row = row | job.back(row)
    at = owned | {"conversation_id": row["id"]}
    handle = free_handle(tx, owner_id, row["handle"])
    here = {"changed_at_ms": job.now_ms, "listed_at_ms": listed_at_ms}
    tx.run(_ADD, **row | owned | here | {"handle": handle})
    tx.many(ADD_TAG, [at | {"name": name} for name in job.tags])
    add_messages(tx, [one | at for one in job.messages])
    if row["title"] is not None:
        mark_title(tx, owner_id, row["id"])
    for seq, contents in job.attached.items():
        refer(tx, owner_id, row["id"], seq, contents)
    add_originals(tx, [(owner_id, row["id"], seq, data) for seq, data in job.originals.items()])
    tx.many(ADD_CALL, [one | at for one in job.calls])
    return _added(job, handle)


def _added(job: OwnRows, handle: str | None) -> Imported:
    return Imported(
        kept="added",
        messages=len(job.messages),
        id=job.conversation["id"],
        handle=handle,
        title=job.conversation["title"],
    )
