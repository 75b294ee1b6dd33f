"""Storing conversations of other programs: each whole or not at all, and once, however often it comes.

What was imported before is known by its source and its id there; what came to it since is added
(`merging.py`). What the user has deleted stays deleted, unless it is wanted back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec
from sqlalchemy import bindparam, insert, select

from convostore.errors import ConvostoreError
from convostore.ids import new_handle
from convostore.storage.attachments import missing, refer
from convostore.storage.canonical import to_json
from convostore.storage.merging import ADD_TAG, Merged, SameConversation, merge
from convostore.storage.newcomer_rows import conversation_row, message_values, original_values
from convostore.storage.newcomers import ContentsMissing, Imported
from convostore.storage.originals import add_originals
from convostore.storage.owner_rows import OWNER_HELD, OwnerGone
from convostore.storage.search_marks import ADD_MESSAGE, mark
from convostore.storage.search_tables import TITLE_SEQ
from convostore.storage.statements import Hot, one_of
from convostore.storage.tables import conversation, message
from convostore.storage.tombstones import drop_tombstones, purged_before, source_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.storage.newcomers import ImportConversation
    from convostore.storage.statements import Row, Tx

Outcome: TypeAlias = Imported | ContentsMissing | OwnerGone | ConvostoreError

_BY_SOURCE = Hot(
    select(*(conversation.c[name] for name in SameConversation.__struct_fields__))
    .where(
        conversation.c.owner_id == bindparam("owner_id"),
        conversation.c.source == bindparam("source"),
        one_of(conversation.c.source_id, "ids"),
    )
    .order_by(conversation.c.id)
    .with_for_update(key_share=True)
)
_TAKEN = Hot(
    select(conversation.c.handle).where(
        conversation.c.owner_id == bindparam("owner_id"), one_of(conversation.c.handle, "handles")
    )
)
_ADD = Hot(insert(conversation))


def import_conversations(
    tx: Tx, owner_id: str, jobs: Sequence[ImportConversation]
) -> list[Outcome]:
    """Store each conversation whole, or what came to it since it was stored.

    What it marks for the search index is left until `imports_ended`: to index takes longer than to
    store, and the writer would do it between two parts of the same file.
    """
    marked = tx.marked
    outcomes = _import(tx, owner_id, jobs)
    tx.marked = marked
    return outcomes


def imports_ended(tx: Tx, _: str, jobs: Sequence[None]) -> list[None]:
    """Let the writer index what imports have marked."""
    tx.marked = True
    return [None for _ in jobs]


def _import(tx: Tx, owner_id: str, jobs: Sequence[ImportConversation]) -> list[Outcome]:
    if not tx.rows(OWNER_HELD, owner_id=owner_id):
        return [OwnerGone()] * len(jobs)
    if len({(job.source, job.source_id) for job in jobs}) < len(jobs):
        # The second one of the same has to see what the first has stored.
        return [one for job in jobs for one in _import(tx, owner_id, [job])]
    stored = _stored(tx, owner_id, jobs)
    hashes = [source_hash(owner_id, job.source, job.source_id) for job in jobs]
    purged = purged_before(tx, owner_id, hashes)
    outcomes: list[Outcome | None] = []
    fresh: list[ImportConversation] = []
    for job, hash_ in zip(jobs, hashes, strict=True):
        same = stored.get((job.source, job.source_id))
        outcome: Outcome | None = None
        if same is not None:
            outcome = _again(tx, owner_id, job, same)
        elif hash_ in purged and not job.restore:
            outcome = Imported(kept="deleted")
        elif job.dry_run:
            outcome = job.would_be_added()
        elif lacking := missing(tx, owner_id, _contents(job)):
            outcome = ContentsMissing(lacking)
        else:
            fresh.append(job)
        outcomes.append(outcome)
    wanted_back = [source_hash(owner_id, job.source, job.source_id) for job in fresh]
    drop_tombstones(tx, owner_id, [hash_ for hash_ in wanted_back if hash_ in purged])
    added = iter(_add(tx, owner_id, fresh))
    return [next(added) if outcome is None else outcome for outcome in outcomes]


def _contents(job: ImportConversation) -> set[str]:
    return {sha256 for one in job.messages for sha256 in one.attachments}


def _stored(
    tx: Tx, owner_id: str, jobs: Sequence[ImportConversation]
) -> dict[tuple[str, str], SameConversation]:
    """Return what is stored already: where one is in the bin and another is not, the other one."""
    by_source: dict[str, list[str]] = {}
    for job in jobs:
        by_source.setdefault(job.source, []).append(job.source_id)
    found: dict[tuple[str, str], SameConversation] = {}
    for source, ids in by_source.items():
        for row in tx.rows(_BY_SOURCE, owner_id=owner_id, source=source, ids=to_json(sorted(ids))):
            one = SameConversation(*row)
            known = found.setdefault((source, one.source_id), one)
            if known.deleted_at_ms is not None and one.deleted_at_ms is None:
                found[source, one.source_id] = one
    return found


def _again(tx: Tx, owner_id: str, job: ImportConversation, same: SameConversation) -> Outcome:
    """Add what came to a conversation since it was stored."""
    there = Imported(kept="unchanged", id=same.id, handle=same.handle, title=same.title)
    if tx.again and same.id == job.id:  # an earlier try has stored it
        return msgspec.structs.replace(there, kept="added", messages=len(job.messages))
    if same.is_gone(job.now_ms) and not job.restore:
        return msgspec.structs.replace(there, kept="deleted")
    merged = merge(tx, owner_id, job, same)
    if not isinstance(merged, Merged):
        return merged
    return Imported(
        kept="updated" if merged.changed else "unchanged",
        messages=merged.messages,
        new=merged.new,
        id=same.id,
        handle=same.handle,
        title=merged.title,
    )


def _add(tx: Tx, owner_id: str, jobs: Sequence[ImportConversation]) -> list[Imported]:
    """Store new conversations."""
    handles = _free_handles(tx, owner_id, len(jobs))
    tx.many(
        _ADD,
        [conversation_row(owner_id, job, one) for job, one in zip(jobs, handles, strict=True)],
    )
    messages: list[Row] = []
    originals: list[Row] = []
    tags: list[dict[str, str]] = []
    for job in jobs:
        at = (owner_id, job.id)
        messages += [message_values(at, new, seq) for seq, new in enumerate(job.messages, start=1)]
        originals += original_values(at, job)
        tags += [
            {"owner_id": owner_id, "conversation_id": job.id, "name": name}
            for name in sorted({*job.tags, *job.more_tags})
        ]
    tx.add(ADD_MESSAGE, message, messages)
    add_originals(tx, originals)
    tx.many(ADD_TAG, tags)
    mark(tx, owner_id, [(job.id, TITLE_SEQ) for job in jobs if job.title is not None])
    mark(tx, owner_id, [(job.id, 1) for job in jobs if job.messages])
    for job in jobs:
        for seq, new in enumerate(job.messages, start=1):
            if new.attachments:
                refer(tx, owner_id, job.id, seq, new.attachments)
    return [
        Imported(kept="added", messages=len(job.messages), id=job.id, handle=one, title=job.title)
        for job, one in zip(jobs, handles, strict=True)
    ]


def _free_handles(tx: Tx, owner_id: str, wanted: int) -> list[str]:
    """Return so many handles that no conversation of this owner has."""
    free: set[str] = set()
    while len(free) < wanted:  # ends: 2**40 handles, and no owner has as many conversations
        tried = sorted({new_handle() for _ in range(wanted - len(free))} - free)
        taken = {one for (one,) in tx.rows(_TAKEN, owner_id=owner_id, handles=to_json(tried))}
        free.update(one for one in tried if one not in taken)
    return sorted(free)
