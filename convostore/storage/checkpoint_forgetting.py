"""Taking a forgotten message out of the states of the graph that it came from.

Its items are emptied: where a state's list had it, it is left out from now on. So are copies of it
that a task wrote before the message had its name, and its text in what the graph was given to begin
with. What a graph has made of it, such as a summary, is not known to be of it, and stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import bindparam, null, select, update

from convostore.storage.checkpoint_items import MESSAGES, TAG, as_json, hash_of, whole
from convostore.storage.checkpoint_tables import checkpoint, checkpoint_item, checkpoint_write
from convostore.storage.statements import Hot
from convostore.storage.tables import message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Table

    from convostore.storage.statements import Row, Tx

# A text of so many characters does not stand in another one by chance.
_TELLING: Final = 16
_SAYS: Final = frozenset({"content", "text"})  # keys of what a message says, in any form
_NAMES: Final = frozenset({TAG, "s", "class", "role", "type"})  # of kinds, not of what is said
_INNER: Final = "__"  # how the names of a graph's own channels begin: its input, its answers


def _of(table: Table, *names: str, prefix: str = "") -> list[Any]:
    names = ("owner_id", "conversation_id", *names)
    return [table.c[name] == bindparam(prefix + name) for name in names]


def _read(table: Table, *names: str) -> Hot:
    return Hot(select(*(table.c[name] for name in names)).where(*_of(table)))


def _changed(table: Table, keys: Sequence[str], *names: str) -> Hot:
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    return Hot(update(table).where(*_of(table, *keys, prefix="of_")).values(values))


_CHECKPOINT: Final = ("namespace", "id")
_WRITE: Final = ("namespace", "checkpoint_id", "task_id", "number")
_ITEM: Final = ("space", "number")
_ANY = Hot(select(checkpoint.c.id).where(*_of(checkpoint)).limit(1))
_ITEMS = Hot(
    select(
        *(checkpoint_item.c[name] for name in (*_ITEM, "message_seq", "content_hash", "data")),
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
    .where(*_of(checkpoint_item))
)
_EMPTY = _changed(checkpoint_item, _ITEM, "message_seq", "content_hash", "data")
_STATES = _read(checkpoint, *_CHECKPOINT, "state", "metadata", "history")
_RESTATE = _changed(checkpoint, _CHECKPOINT, "state", "metadata", "history")
_UNSTAND = Hot(
    update(checkpoint)
    .where(*_of(checkpoint, "message_seq", prefix="of_"))
    .values(message_seq=null())
)
_WRITES = _read(checkpoint_write, *_WRITE, "channel", "value")
_REWRITE = _changed(checkpoint_write, _WRITE, "value")


def forget_in_checkpoints(
    tx: Tx, owner_id: str, conversation_id: str, said: dict[int, str], *, gone: bool = False
) -> None:
    """Take messages out of every state of a conversation.

    Args:
        tx: in which the messages themselves are emptied or removed, too.
        owner_id: whose.
        conversation_id: where.
        said: their texts by number.
        gone: the messages are removed, not emptied: nothing may name them any more.
    """
    at = {"owner_id": owner_id, "conversation_id": conversation_id}
    if not tx.rows(_ANY, **at):
        return
    texts = sorted({text for text in said.values() if text}, key=len, reverse=True)
    _items(tx, at, said.keys(), texts, gone=gone)
    if gone:
        tx.many(_UNSTAND, [_named(at, ("message_seq",), (seq,)) for seq in said])
    rows = []
    for namespace, id_, *values in tx.rows(_STATES, **at):
        new = [None if one is None else _state(one, texts) for one in values]
        if new != values:
            names = dict(zip(("new_state", "new_metadata", "new_history"), new, strict=True))
            rows.append(_named(at, _CHECKPOINT, (namespace, id_)) | names)
    tx.many(_RESTATE, rows)
    rows = []
    for *name, channel, value in tx.rows(_WRITES, **at):
        new_value = _cleaned(value, texts, anywhere=channel.startswith(_INNER))
        if new_value != value:
            rows.append(_named(at, _WRITE, name) | {"new_value": new_value})
    tx.many(_REWRITE, rows)


def _items(
    tx: Tx, at: dict[str, str], seqs: Iterable[int], texts: list[str], *, gone: bool
) -> None:
    items, of = tx.rows(_ITEMS, **at), set(seqs)
    same = {
        one
        for *_, seq, _, data, text in items
        if seq in of and data
        for one in _known_by(whole(data, text))
    }
    rows = []
    for space, number, seq, hash_, data, _ in items:
        new: Row = (seq, hash_, data)
        if seq in of:
            new = (None if gone else seq, "", "")
        elif seq is None and data and not same.isdisjoint(_known_by(data)):
            new = (None, "", "")
        elif seq is None and space != MESSAGES and data:
            cleaned = _cleaned(data, texts, anywhere=space.startswith(f":{_INNER}"))
            new = (None, hash_ if cleaned == data else hash_of(cleaned), cleaned)
        if new != (seq, hash_, data):
            names = ("new_message_seq", "new_content_hash", "new_data")
            rows.append(_named(at, _ITEM, (space, number)) | dict(zip(names, new, strict=True)))
    tx.many(_EMPTY, rows)


def _known_by(data: str) -> tuple[str, ...]:
    """Return what copies of a message have in common: its id, and all that it says without it."""
    value = msgspec.json.decode(data)
    of = value.get("of") if isinstance(value, dict) and TAG in value else None
    if not isinstance(of, dict) or "content" not in of:
        return ()
    rest = {name: one for name, one in of.items() if name != "id"}
    said = as_json({**value, "of": rest})
    return (said, of["id"]) if isinstance(of.get("id"), str) else (said,)


def _state(text: str, texts: list[str]) -> str:
    value = msgspec.json.decode(text)
    inner = value.get("values") if isinstance(value, dict) else None
    new = _without(value, texts)
    for name, one in (inner or {}).items():
        if name.startswith(_INNER):
            new["values"][name] = _without(one, texts, anywhere=True)
    return text if new == value else as_json(new)


def _cleaned(text: str, texts: list[str], *, anywhere: bool) -> str:
    value = msgspec.json.decode(text)
    new = _without(value, texts, anywhere=anywhere)
    return text if new == value else as_json(new)


def _without(value: Any, texts: list[str], *, anywhere: bool = False) -> Any:
    """Return a value without the texts; short ones only *anywhere*, or where something says them."""
    if isinstance(value, dict):
        return {
            key: one if key in _NAMES else _without(one, texts, anywhere=anywhere or key in _SAYS)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_without(one, texts, anywhere=anywhere) for one in value]
    if not isinstance(value, str) or (anywhere and value in texts):
        return "" if isinstance(value, str) else value
    for text in texts:
        if len(text) >= _TELLING:
            value = value.replace(text, "")
    return value


def _named(at: dict[str, str], keys: Sequence[str], name: Sequence[Any]) -> dict[str, Any]:
    return {f"of_{key}": one for key, one in at.items()} | {
        f"of_{key}": one for key, one in zip(keys, name, strict=True)
    }
