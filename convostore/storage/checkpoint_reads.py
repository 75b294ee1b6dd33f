"""Reading checkpoints: one, a page of them, what was written beside them, and their items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from sqlalchemy import bindparam, select

from convostore.storage.canonical import to_json
from convostore.storage.checkpoint_items import MESSAGES, RUNS, named_in, unrolled, whole
from convostore.storage.checkpoint_tables import checkpoint, checkpoint_item, checkpoint_write
from convostore.storage.kept import KEPT
from convostore.storage.statements import Hot, one_of
from convostore.storage.tables import conversation, message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convostore.storage.database import Database
    from convostore.storage.statements import Row

Contents: TypeAlias = dict[tuple[str, int], str]
AFTER_ALL: Final = "\U0010ffff"  # no id of a checkpoint begins so


class StoredCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint as it is stored.

    Attributes:
        key: the conversation's.
        state: JSON that names items; see `checkpoint_items`.
        history: what channels of it come to that are kept as writes, where the checkpoints before
            it are gone; None is nothing.
    """

    key: str
    conversation_id: str
    namespace: str
    id: str
    parent_id: str | None
    state: Any
    metadata: Any
    history: Any


class StoredWrite(msgspec.Struct, frozen=True, kw_only=True):
    """What a task wrote; as JSON that names items."""

    namespace: str
    checkpoint_id: str
    task_path: str
    task_id: str
    number: int
    channel: str
    value: Any


_COLUMNS = (
    conversation.c.key,
    checkpoint.c.conversation_id,
    checkpoint.c.namespace,
    checkpoint.c.id,
    checkpoint.c.parent_id,
    checkpoint.c.state,
    checkpoint.c.metadata,
    checkpoint.c.history,
)
_all = (
    select(*_COLUMNS)
    .select_from(
        conversation.join(
            checkpoint,
            (checkpoint.c.owner_id == conversation.c.owner_id)
            & (checkpoint.c.conversation_id == conversation.c.id),
        )
    )
    .where(conversation.c.owner_id == bindparam("owner_id"), *KEPT)
)
_thread = _all.where(conversation.c.key == bindparam("key"))
_namespace = _thread.where(checkpoint.c.namespace == bindparam("namespace"))
_before = (checkpoint.c.id < bindparam("before"),)


def _page(checkpoints: Any) -> Hot:
    newest = checkpoints.where(*_before).order_by(
        checkpoint.c.id.desc(), checkpoint.c.conversation_id, checkpoint.c.namespace
    )
    return Hot(newest.limit(bindparam("most")))


_ONE = Hot(_namespace.where(checkpoint.c.id == bindparam("id")))
_NEWEST = _page(_namespace)
_OF_THREAD = _page(_thread)
_OF_PREFIX = _page(
    _all.where(conversation.c.key >= bindparam("low"), conversation.c.key < bindparam("high"))
)
_WRITES = Hot(
    select(*(checkpoint_write.c[name] for name in StoredWrite.__struct_fields__)).where(
        checkpoint_write.c.owner_id == bindparam("owner_id"),
        checkpoint_write.c.conversation_id == bindparam("conversation_id"),
        one_of(checkpoint_write.c.checkpoint_id, "ids"),
    )
)
_items = (
    select(
        checkpoint_item.c.number,
        checkpoint_item.c.content_hash,
        checkpoint_item.c.data,
        message.c.text,
    )
    .select_from(
        checkpoint_item.outerjoin(
            message,
            (message.c.owner_id == checkpoint_item.c.owner_id)
            & (message.c.conversation_id == checkpoint_item.c.conversation_id)
            & (message.c.seq == checkpoint_item.c.message_seq),
        )
    )
    .where(
        checkpoint_item.c.owner_id == bindparam("owner_id"),
        checkpoint_item.c.conversation_id == bindparam("conversation_id"),
        checkpoint_item.c.space == bindparam("space"),
    )
)
_ITEMS = Hot(
    _items.where(
        checkpoint_item.c.number >= bindparam("first"),
        checkpoint_item.c.number <= bindparam("last"),
    )
)
_BY_HASH = Hot(_items.where(one_of(checkpoint_item.c.content_hash, "hashes")))
_OF_RUNS = Hot(
    select(checkpoint.c.conversation_id)
    .where(checkpoint.c.owner_id == bindparam("owner_id"), one_of(checkpoint.c.run_id, "ids"))
    .distinct()
)
_by_key = select(conversation.c.id).where(
    conversation.c.owner_id == bindparam("owner_id"), conversation.c.key == bindparam("key")
)
_BY_KEY = Hot(_by_key)
_KEPT_KEY = Hot(_by_key.where(*KEPT))


async def get(
    database: Database, owner_id: str, *, key: str, namespace: str, id: str | None
) -> StoredCheckpoint | None:
    """Read one checkpoint, or the newest of its namespace.

    Raises:
        StoreError: the store cannot be read.
    """
    at = {"owner_id": owner_id, "key": key, "namespace": namespace}
    rows = await (
        database.read(_NEWEST, **at, before=AFTER_ALL, most=1)
        if id is None
        else database.read(_ONE, **at, id=id)
    )
    return _checkpoint(rows[0]) if rows else None


async def page(
    database: Database,
    owner_id: str,
    *,
    key: str | None,
    prefix: str,
    namespace: str | None,
    before: str,
    most: int,
) -> list[StoredCheckpoint]:
    """Read checkpoints, newest first.

    Args:
        database: the store's.
        owner_id: whose.
        key: of one conversation; None is all whose keys begin with *prefix*.
        prefix: see *key*.
        namespace: of one conversation's checkpoints those of one graph; None is all.
        before: only those with smaller ids.
        most: how many.

    Raises:
        StoreError: the store cannot be read.
    """
    at: dict[str, Any] = {"owner_id": owner_id, "before": before, "most": most}
    if key is None:
        rows = await database.read(_OF_PREFIX, **at, low=prefix, high=prefix + AFTER_ALL)
    elif namespace is None:
        rows = await database.read(_OF_THREAD, **at, key=key)
    else:
        rows = await database.read(_NEWEST, **at, key=key, namespace=namespace)
    return [_checkpoint(row) for row in rows]


async def writes(
    database: Database, owner_id: str, conversation_id: str, ids: Iterable[str]
) -> list[StoredWrite]:
    """Read what was written beside checkpoints, in the order in which it is applied.

    Raises:
        StoreError: the store cannot be read.
    """
    rows = await database.read(
        _WRITES, owner_id=owner_id, conversation_id=conversation_id, ids=to_json(sorted(set(ids)))
    )
    found = [
        StoredWrite(
            **dict(zip(StoredWrite.__struct_fields__[:-1], row, strict=False)),
            value=msgspec.json.decode(row[-1]),
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: (one.task_path, one.task_id, one.number))


async def contents(
    database: Database, owner_id: str, conversation_id: str, values: Iterable[Any]
) -> Contents | None:
    """Read the items that values name; None where one is not there (any more).

    Raises:
        StoreError: the store cannot be read.
    """
    at = (database, owner_id, conversation_id)
    named = list(named_in(list(values)))
    read: Contents = {}
    further = {number for _, _, more in named for number in unrolled(more)}
    if not await _read(at, RUNS, further, read):
        return None
    wanted: dict[str, set[int]] = {}
    for space, found, more in named:
        numbers = wanted.setdefault(space, set())
        numbers.update(unrolled(found))
        for number in unrolled(more):
            numbers.update(unrolled(msgspec.json.decode(read[RUNS, number])))
    for space, numbers in wanted.items():
        if not await _read(at, space, numbers, read):
            return None
    return read


async def conversations_of_runs(
    database: Database, owner_id: str, run_ids: Iterable[str]
) -> tuple[str, ...]:
    """Read which conversations have checkpoints of runs.

    Raises:
        StoreError: the store cannot be read.
    """
    rows = await database.read(_OF_RUNS, owner_id=owner_id, ids=to_json(sorted(set(run_ids))))
    return tuple(id_ for (id_,) in rows)


async def conversation_of(
    database: Database, owner_id: str, key: str, *, kept: bool = True
) -> str | None:
    """Read which conversation has a key.

    Args:
        database: the store's.
        owner_id: whose.
        key: of the conversation.
        kept: not one that is in the bin, or has expired.

    Raises:
        StoreError: the store cannot be read.
    """
    rows = await database.read(_KEPT_KEY if kept else _BY_KEY, owner_id=owner_id, key=key)
    return rows[0][0] if rows else None


async def _read(
    at: tuple[Database, str, str], space: str, numbers: set[int], into: Contents
) -> bool:
    """Read items of one space; False where one is missing."""
    if not numbers:
        return True
    database, owner_id, conversation_id = at
    rows = await database.read(
        _ITEMS,
        owner_id=owner_id,
        conversation_id=conversation_id,
        space=space,
        first=min(numbers),
        last=max(numbers),
    )
    same: dict[str, int] = {}
    for number, hash_, data, text in rows:
        if number in numbers:
            into[space, number] = whole(data, text)
            if hash_ and not data:
                same[hash_] = number
    if same:
        rows = await database.read(
            _BY_HASH,
            owner_id=owner_id,
            conversation_id=conversation_id,
            space=MESSAGES,
            hashes=to_json(sorted(same)),
        )
        into |= {(space, same[hash_]): whole(data, text) for _, hash_, data, text in rows}
    return all((space, number) in into for number in numbers)


def _checkpoint(row: Row) -> StoredCheckpoint:
    *names, state, metadata, history = row
    fields = dict(zip(StoredCheckpoint.__struct_fields__, names, strict=False))
    return StoredCheckpoint(
        **fields,
        state=msgspec.json.decode(state),
        metadata=msgspec.json.decode(metadata),
        history=None if history is None else msgspec.json.decode(history),
    )
