"""Storing the state of a graph after a step, and what its tasks have written.

Messages that a state has and its conversation has not are shown there: each new one below the one
before it in the state's list. What the conversation shows already stays as it is, also where a
graph takes messages out of its list or changes them; a changed one is a sibling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, select

from convostore.records import Usage
from convostore.storage.calls import KEEP_CALL, cost_columns
from convostore.storage.canonical import to_json
from convostore.storage.checkpoint_items import (
    Items,
    Piece,
    Shown,
    as_json,
    pieces_in,
    space_of,
)
from convostore.storage.checkpoint_tables import checkpoint, checkpoint_write
from convostore.storage.kept import KEPT
from convostore.storage.search_marks import add_messages
from convostore.storage.standing import Adding, keep_standings, standings
from convostore.storage.statements import Hot, one_of, upsert
from convostore.storage.tables import conversation, message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.storage.standing import Standing
    from convostore.storage.statements import Tx


def _untitled(_: str | None) -> str | None:
    return None


class PutCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A state to be stored; one of the same name is replaced.

    Attributes:
        key: the conversation's; one that has another by now is not meant.
        namespace: of a graph within the graph; empty is the graph itself.
        parent_id: the checkpoint before it; None is none.
        run_id: by which `RemoveCheckpoints` may find it.
        state: as JSON has it, with pieces in it.
        metadata: as JSON.
        path: the messages that the conversation is to show, in order; None shows none, and leaves
            the conversation where it stands.
        below_id: the checkpoint below whose messages the path goes on; None is from the root.
        titled: makes a title of the conversation's first question.
    """

    conversation_id: str
    key: str
    namespace: str
    id: str
    parent_id: str | None
    run_id: str | None
    state: Any
    metadata: str
    path: tuple[Piece, ...] | None
    now_ms: int
    below_id: str | None = None
    titled: Callable[[str | None], str | None] = _untitled


class NewWrite(msgspec.Struct, frozen=True, kw_only=True):
    """What a task wrote to a channel.

    Attributes:
        number: its place among the task's writes; below 0 it replaces one of the same number.
        value: as JSON has it, with pieces in it.
    """

    number: int
    channel: str
    value: Any


class PutWrites(msgspec.Struct, frozen=True, kw_only=True):
    """What a task has written, to be kept beside the checkpoint at which it began.

    Attributes:
        key: as of `PutCheckpoint`.
    """

    conversation_id: str
    key: str
    namespace: str
    checkpoint_id: str
    task_id: str
    task_path: str
    writes: tuple[NewWrite, ...]


class Stored(msgspec.Struct, frozen=True):
    """What became of a job.

    Attributes:
        done: False where the conversation is gone, or called otherwise; nothing was stored then.
    """

    done: bool


_put = upsert(checkpoint)
_PUT = Hot(
    _put.on_conflict_do_update(
        index_elements=["owner_id", "conversation_id", "namespace", "id"],
        set_={
            name: _put.excluded[name]
            for name in ("parent_id", "run_id", "message_seq", "state", "metadata")
        },
    )
)
_write = upsert(checkpoint_write)
_WRITE_KEY = tuple(column.name for column in checkpoint_write.primary_key)
_WRITE = Hot(_write.on_conflict_do_nothing(index_elements=_WRITE_KEY))
_REWRITE = Hot(
    _write.on_conflict_do_update(
        index_elements=_WRITE_KEY,
        set_={name: _write.excluded[name] for name in ("task_path", "channel", "value")},
    )
)
_STOOD = Hot(
    select(checkpoint.c.message_seq).where(
        checkpoint.c.owner_id == bindparam("owner_id"),
        checkpoint.c.conversation_id == bindparam("conversation_id"),
        checkpoint.c.namespace == bindparam("namespace"),
        checkpoint.c.id == bindparam("id"),
    )
)
_CALLED = Hot(
    select(conversation.c.id).where(
        conversation.c.owner_id == bindparam("owner_id"),
        conversation.c.id == bindparam("id"),
        conversation.c.key == bindparam("key"),
        *KEPT,
    )
)
_SHOWN = Hot(
    select(message.c.source_id, message.c.seq, message.c.status, message.c.text, message.c.parts)
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        one_of(message.c.source_id, "ids"),
    )
    .order_by(message.c.seq)
)


def put_checkpoints(tx: Tx, owner_id: str, jobs: Sequence[PutCheckpoint]) -> list[Stored]:
    """Store states, and show what is new of their messages. The same again changes nothing."""
    return [_put_checkpoint(tx, owner_id, job) for job in jobs]


def put_writes(tx: Tx, owner_id: str, jobs: Sequence[PutWrites]) -> list[Stored]:
    """Store what tasks have written; what a task has written before stays."""
    return [_put_writes(tx, owner_id, job) for job in jobs]


def is_called(tx: Tx, owner_id: str, conversation_id: str, key: str) -> bool:
    """Tell whether a conversation is there, and has that key: it may have gone to another one."""
    return bool(tx.rows(_CALLED, owner_id=owner_id, id=conversation_id, key=key))


def _put_checkpoint(tx: Tx, owner_id: str, job: PutCheckpoint) -> Stored:
    stands = standings(tx, owner_id, [job.conversation_id]).get(job.conversation_id)
    if stands is None or not is_called(tx, owner_id, job.conversation_id, job.key):
        return Stored(False)
    items = Items(tx, owner_id, job.conversation_id)
    items.load((), *(job.state.get("values") or ()))
    known = _look_up(tx, owner_id, job.conversation_id, items, [*pieces_in(job.state)])
    seq = None
    if job.path is not None:
        seq = _show(tx, owner_id, job, stands, (items, known))
    state = as_json(items.laid(job.state))
    items.keep()
    tx.run(
        _PUT,
        owner_id=owner_id,
        conversation_id=job.conversation_id,
        namespace=job.namespace,
        id=job.id,
        parent_id=job.parent_id,
        run_id=job.run_id,
        message_seq=seq,
        state=state,
        metadata=job.metadata,
        history=None,
    )
    return Stored(True)


def _look_up(
    tx: Tx, owner_id: str, conversation_id: str, items: Items, pieces: list[Piece]
) -> dict[tuple[str, str, str | None], int]:
    """Learn which messages of new pieces the conversation shows already, and which are forgotten.

    Returns:
        The numbers of messages by the graph's id, text and parts.
    """
    items.load(pieces)
    ids = {one.message_id for one in pieces if one.message_id and items.is_new(one)}
    if not ids:
        return {}
    rows = tx.rows(
        _SHOWN, owner_id=owner_id, conversation_id=conversation_id, ids=to_json(sorted(ids))
    )
    items.gone = frozenset(id_ for id_, _, status, *_ in rows if status == "erased")
    return {(id_, text, parts): seq for id_, seq, _, text, parts in rows}


def _show(
    tx: Tx,
    owner_id: str,
    job: PutCheckpoint,
    stands: Standing,
    found: tuple[Items, dict[tuple[str, str, str | None], int]],
) -> int | None:
    """Add the messages that are not shown yet, stand at the last, and return its number."""
    items, known = found
    rows: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    add = Adding(tx, owner_id, stands, now_ms=job.now_ms, rows=rows)
    last, title = _stood(tx, owner_id, job), None
    for piece in job.path or ():
        if piece.show is None or piece.message_id in items.gone:
            continue
        held = items.held(piece)
        if held.message_seq is None:
            shown = piece.show()
            new = shown.message
            seq = known.get((piece.message_id or "", new.text, new.shape))
            if seq is None:
                seq = add.message(new, last)
                if shown.used is not None:
                    calls.append(_call(owner_id, job, seq, shown))
            items.show(piece, seq, new.text)
            title = title or (new.text if new.role == "user" else None)
        last = held.message_seq
    if last is not None and (rows or last != stands.head_seq):
        add.advance(last, len(rows), job.titled(title))
        add_messages(tx, rows)
        tx.many(KEEP_CALL, calls)
        keep_standings(tx, owner_id, [stands])
    return last


def _call(owner_id: str, job: PutCheckpoint, seq: int, shown: Shown) -> dict[str, Any]:
    return {
        "owner_id": owner_id,
        "id": shown.message.id,
        "conversation_id": job.conversation_id,
        "message_seq": seq,
        "provider": shown.message.provider,
        "model": shown.message.model,
        "created_at_ms": job.now_ms,
        **cost_columns(shown.used or Usage()),
    }


def _stood(tx: Tx, owner_id: str, job: PutCheckpoint) -> int | None:
    if job.below_id is None:
        return None
    rows = tx.rows(
        _STOOD,
        owner_id=owner_id,
        conversation_id=job.conversation_id,
        namespace=job.namespace,
        id=job.below_id,
    )
    return rows[0][0] if rows else None


def _put_writes(tx: Tx, owner_id: str, job: PutWrites) -> Stored:
    if not is_called(tx, owner_id, job.conversation_id, job.key):
        return Stored(False)
    items = Items(tx, owner_id, job.conversation_id)
    pieces = [piece for one in job.writes for piece in pieces_in(one.value)]
    _look_up(tx, owner_id, job.conversation_id, items, pieces)
    rows: list[dict[str, Any]] = []
    for one in job.writes:
        items.aside = space_of(one.channel)
        rows.append(
            {
                "owner_id": owner_id,
                "conversation_id": job.conversation_id,
                "namespace": job.namespace,
                "checkpoint_id": job.checkpoint_id,
                "task_id": job.task_id,
                "number": one.number,
                "task_path": job.task_path,
                "channel": one.channel,
                "value": as_json(items.laid(one.value)),
            }
        )
    items.keep()
    tx.many(_WRITE, [row for row in rows if row["number"] >= 0])
    tx.many(_REWRITE, [row for row in rows if row["number"] < 0])
    return Stored(True)
