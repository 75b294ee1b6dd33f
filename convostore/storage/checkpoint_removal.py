"""Taking checkpoints out of a conversation that stays, with what nobody names any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, delete, func, select, update

from convostore.storage.checkpoint_history import COUNTERS, Step, history_of
from convostore.storage.checkpoint_items import MESSAGES, RUNS, as_json, named_in, unrolled
from convostore.storage.checkpoint_tables import checkpoint, checkpoint_item, checkpoint_write
from convostore.storage.scrub_note import owe_scrub
from convostore.storage.statements import Hot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Table

    from convostore.storage.statements import Tx

Name = tuple[str, str]  # of a checkpoint: namespace and id


class RemoveCheckpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Take checkpoints out.

    Attributes:
        run_ids: those of these runs; None is all.
        keep_latest: of all, the newest of each namespace stays.
    """

    conversation_id: str
    run_ids: tuple[str, ...] | None = None
    keep_latest: bool = False


class Removed(msgspec.Struct, frozen=True):
    """How many checkpoints went."""

    checkpoints: int


class _Row(msgspec.Struct):
    """A checkpoint, as far as it matters here."""

    parent_id: str | None
    run_id: str | None
    values: dict[str, Any]
    metadata: dict[str, Any]
    history: dict[str, Any] | None
    writes: list[tuple[str, str, Any]]

    def step(self) -> Step:
        """Return it as part of a history."""
        return Step(
            parent_id=self.parent_id,
            values=self.values,
            history=self.history,
            writes=tuple(self.writes),
        )


def _of(table: Table) -> tuple[Any, Any]:
    return (
        table.c.owner_id == bindparam("owner_id"),
        table.c.conversation_id == bindparam("conversation_id"),
    )


_ALL = Hot(
    select(
        checkpoint.c.namespace,
        checkpoint.c.id,
        checkpoint.c.parent_id,
        checkpoint.c.run_id,
        checkpoint.c.state,
        checkpoint.c.metadata,
        checkpoint.c.history,
    ).where(*_of(checkpoint))
)
_WRITES = Hot(
    select(
        checkpoint_write.c.namespace,
        checkpoint_write.c.checkpoint_id,
        checkpoint_write.c.task_path,
        checkpoint_write.c.task_id,
        checkpoint_write.c.number,
        checkpoint_write.c.channel,
        checkpoint_write.c.value,
    ).where(*_of(checkpoint_write))
)
_ITEMS = Hot(
    select(
        checkpoint_item.c.space,
        checkpoint_item.c.number,
        checkpoint_item.c.content_hash,
        func.length(checkpoint_item.c.data),
    ).where(*_of(checkpoint_item))
)
_RUNS = Hot(
    select(checkpoint_item.c.number, checkpoint_item.c.data).where(
        *_of(checkpoint_item), checkpoint_item.c.space == RUNS
    )
)
_GONE = Hot(
    delete(checkpoint).where(
        *_of(checkpoint),
        checkpoint.c.namespace == bindparam("namespace"),
        checkpoint.c.id == bindparam("id"),
    )
)
_GONE_WRITES = Hot(
    delete(checkpoint_write).where(
        *_of(checkpoint_write),
        checkpoint_write.c.namespace == bindparam("namespace"),
        checkpoint_write.c.checkpoint_id == bindparam("id"),
    )
)
_GONE_ITEM = Hot(
    delete(checkpoint_item).where(
        *_of(checkpoint_item),
        checkpoint_item.c.space == bindparam("space"),
        checkpoint_item.c.number == bindparam("number"),
    )
)
_REMEMBER = Hot(
    update(checkpoint)
    .where(
        checkpoint.c.owner_id == bindparam("of_owner_id"),
        checkpoint.c.conversation_id == bindparam("of_conversation_id"),
        checkpoint.c.namespace == bindparam("of_namespace"),
        checkpoint.c.id == bindparam("of_id"),
    )
    .values(history=bindparam("new_history"))
)


def remove_checkpoints(tx: Tx, owner_id: str, jobs: Sequence[RemoveCheckpoints]) -> list[Removed]:
    """Take checkpoints out, with what was written beside them; the messages stay.

    What a channel that is kept as writes comes to is kept with those that stay.
    """
    return [_remove(tx, owner_id, job) for job in jobs]


def _remove(tx: Tx, owner_id: str, job: RemoveCheckpoints) -> Removed:
    at = {"owner_id": owner_id, "conversation_id": job.conversation_id}
    rows, apart = _rows(tx, at)
    gone = _meant(rows, job)
    if not gone and not (job.run_ids is None and apart):
        return Removed(0)
    _remember(tx, at, rows, gone)
    names = gone | (apart if job.run_ids is None and not job.keep_latest else set())
    named = [{**at, "namespace": namespace, "id": id_} for namespace, id_ in sorted(names)]
    tx.many(_GONE, named)
    tx.many(_GONE_WRITES, named)
    drop_items(tx, at)
    owe_scrub(tx)
    return Removed(len(gone))


def _rows(tx: Tx, at: dict[str, str]) -> tuple[dict[Name, _Row], set[Name]]:
    """Return the checkpoints, and the names of those that have writes, but are not there."""
    rows = {}
    for namespace, id_, parent_id, run_id, state, metadata, history in tx.rows(_ALL, **at):
        values = msgspec.json.decode(state).get("values") or {}
        known = None if history is None else msgspec.json.decode(history)
        rows[namespace, id_] = _Row(
            parent_id, run_id, values, msgspec.json.decode(metadata), known, []
        )
    apart = set()
    found = tx.rows(_WRITES, **at)
    for namespace, id_, _, task_id, _, channel, value in sorted(found, key=lambda row: row[2:5]):
        if (namespace, id_) in rows:
            rows[namespace, id_].writes.append((task_id, channel, msgspec.json.decode(value)))
        else:
            apart.add((namespace, id_))
    return rows, apart


def _meant(rows: dict[Name, _Row], job: RemoveCheckpoints) -> set[Name]:
    if job.run_ids is not None:
        return {name for name, row in rows.items() if row.run_id in set(job.run_ids)}
    newest: dict[str, str] = {}
    if job.keep_latest:
        for namespace, id_ in rows:
            newest[namespace] = max(newest.get(namespace, ""), id_)
    return rows.keys() - newest.items()


def _remember(tx: Tx, at: dict[str, str], rows: dict[Name, _Row], gone: set[Name]) -> None:
    """Keep with those that stay what their channels are made of, where that goes."""
    kept = []
    for (namespace, id_), row in rows.items():
        above = (namespace, row.parent_id or "")
        channels = row.metadata.get(COUNTERS) or {}
        if (namespace, id_) in gone or above not in gone or not channels:
            continue

        def step(id_: str, namespace: str = namespace) -> Step | None:
            found = rows.get((namespace, id_))
            return None if found is None else found.step()

        missing = [name for name in channels if name not in row.values]
        kept.append(
            {
                "of_owner_id": at["owner_id"],
                "of_conversation_id": at["conversation_id"],
                "of_namespace": namespace,
                "of_id": id_,
                "new_history": as_json(history_of(row.step(), missing, step)),
            }
        )
    tx.many(_REMEMBER, kept)


def drop_items(tx: Tx, at: dict[str, str]) -> None:
    """Take out the items that nobody names any more."""
    numbers, items = named_by(tx, at), tx.rows(_ITEMS, **at)
    meant = {  # by an item that is the message of the same hash
        hash_
        for space, number, hash_, length in items
        if hash_ and not length and number in numbers.get(space, ())
    }
    unnamed = [
        {**at, "space": space, "number": number}
        for space, number, hash_, _ in items
        if number not in numbers.get(space, ()) and not (space == MESSAGES and hash_ in meant)
    ]
    tx.many(_GONE_ITEM, unnamed)


def named_by(tx: Tx, at: dict[str, str]) -> dict[str, set[int]]:
    """Return the numbers of the items that a conversation's checkpoints and writes name, by space."""
    further = {number: msgspec.json.decode(data) for number, data in tx.rows(_RUNS, **at)}
    numbers: dict[str, set[int]] = {}
    for value in _values(tx, at):
        for space, found, more in named_in(msgspec.json.decode(value)):
            numbers.setdefault(space, set()).update(unrolled(found))
            for number in unrolled(more):
                numbers.setdefault(RUNS, set()).add(number)
                numbers[space].update(unrolled(further.get(number, [])))
    return numbers


def _values(tx: Tx, at: dict[str, str]) -> Iterable[str]:
    for *_, state, _, history in tx.rows(_ALL, **at):
        yield state
        if history is not None:
            yield history
    for *_, value in tx.rows(_WRITES, **at):
        yield value
