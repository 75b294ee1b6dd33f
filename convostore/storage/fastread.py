"""What the reading commands read, with the standard library's sqlite3 alone.

SQLAlchemy takes ten times as long to load as `convostore list` may take as a whole. Here run the
same statements, as text (`fastread_sql.py`), and only where all is plain: a local file, a store of
this program's schema, values as this program writes them. Wherever there is a doubt the answer is
None, and the full way (`lookup.py`, `reads.py`) answers, or says what is wrong.
"""

from __future__ import annotations

import os
import sqlite3
import stat

from convostore.handles import fold_handle, fold_id, is_handle_like
from convostore.storage import fastread_sql as sql
from convostore.storage.mounts import NETWORK_FILE_SYSTEMS, file_system

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from convostore.storage.fastread_sql import Statement

    ResultT = TypeVar("ResultT")

MOST = 1_000_000  # conversations in one list
_WAIT_S = 0.25  # for another program; the full way has the patience that is configured
_MOST_DIGITS = 9  # of `@n`, as in `lookup.py`
_UNESCAPED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-")


class Conversation:
    """A conversation as it stood when it was read; attributes as in `ConversationRecord`."""

    id: str
    handle: str
    key: str | None
    title: str | None
    provider: str | None
    model: str | None
    anonymous_user_id: str | None
    head_seq: int | None
    message_count: int
    folder: str | None
    pinned: bool
    archived_at_ms: int | None
    deleted_at_ms: int | None
    expires_at_ms: int | None
    created_at_ms: int
    updated_at_ms: int
    tags: tuple[str, ...]

    def __init__(self, row: Iterable[Any]) -> None:
        self.__dict__.update(zip(sql.CONVERSATION_COLUMNS, row, strict=True))


class Message:
    """A message as it stood when it was read; attributes as in `records.Message`.

    Attributes:
        parts: all that is not text.
    """

    id: str
    parent_id: str | None
    seq: int
    parent_seq: int | None
    role: str
    author: str | None
    status: str
    text: str
    model: str | None
    finish_reason: str | None
    created_at_ms: int
    parts: tuple[Part, ...]
    error: Error | None

    def __init__(self, row: Iterable[Any]) -> None:
        self.__dict__.update(zip(sql.MESSAGE_COLUMNS, row, strict=True))


class Part:
    """A part that is not text.

    Attributes:
        tag: reasoning, tool_call, tool_result, opaque or attachment.
        values: the rest, by the names that the class of that tag has in `records`.
    """

    def __init__(self, tag: str, values: dict[str, Any]) -> None:
        self.tag = tag
        self.values = values


class Error:
    """Why a reply failed; attributes as in `ErrorRecord`."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.code: str = _text(values["code"])
        self.message: str = _text(values["message"])
        self.hint: str = _text(values.get("hint", ""))
        self.retryable: bool = values.get("retryable", False)
        if not isinstance(self.retryable, bool):
            raise DoubtError


class DoubtError(Exception):
    """Something is not as plain as it has to be here; `in_one_state` turns it into None."""


_TEXTS = {
    "reasoning": ("text",),
    "tool_call": ("id", "name", "args"),
    "tool_result": ("id", "name", "content"),
    "opaque": ("kind",),
    "attachment": ("sha256",),
}
_SHELVES = {"list": sql.PAGE, "archive": sql.ARCHIVE, "bin": sql.BIN}
# What can go wrong here is either a doubt of ours or the full way's to tell.
_DOUBTS = (DoubtError, sqlite3.Error, OSError, ValueError, LookupError, TypeError, RecursionError)


def newest(
    file: str, owner: str | None, count: int, *, shelf: str = "list", beginning: str = ""
) -> list[Conversation] | None:
    """Return the *count* first conversations of the list; None where the full way has to look.

    Args:
        file: the store.
        owner: by name; None is the store's personal owner.
        count: 1 or more.
        shelf: "list"; or "archive", or "bin", instead.
        beginning: of the handle: only those; some that come later in the list, or are in the
            archive, too.
    """
    return in_one_state(file, lambda store: _newest(store, owner, count, shelf, beginning))


def path(
    file: str, owner: str | None, ref: str
) -> tuple[Conversation, list[Message], str | None] | None:
    """Return a conversation, its messages from the root to the head, and its remote id.

    None where the full way has to look; also when nothing, or more than one, is called *ref*.

    Args:
        file: the store.
        owner: by name; None is the store's personal owner.
        ref: as in `lookup.find`.
    """
    return in_one_state(file, lambda store: _path(store, owner, ref))


def in_one_state(file: str, read: Callable[[sqlite3.Connection], ResultT]) -> ResultT | None:
    """Open *file*, let *read* see one committed state of it, and close it.

    It is opened for writing, like every store of ours, though nothing is written: a connection
    that may only read leaves the files of the write-ahead log behind.
    """
    try:
        file = os.path.realpath(file)
        if not stat.S_ISREG(os.stat(file).st_mode) or file_system(file) in NETWORK_FILE_SYSTEMS:  # noqa: PTH116 - pathlib takes as long to load as sqlite3
            return None
        store = sqlite3.connect(_uri(file), uri=True, isolation_level=None, timeout=_WAIT_S)
        try:
            store.execute("PRAGMA query_only = ON")
            store.execute("BEGIN")
            if store.execute(sql.STORED_REVISION).fetchone() != (sql.REVISION,):
                return None
            return read(store)
        finally:
            store.close()
    except _DOUBTS:
        return None


def _uri(file: str) -> str:
    escaped = "".join(chr(byte) if byte in _UNESCAPED else f"%{byte:02x}" for byte in file.encode())
    return f"file:{escaped}?mode=rw"


def rows_of(store: sqlite3.Connection, statement: Statement, **values: Any) -> list[Any]:
    """Run one of the generated statements and return its rows."""
    text, names, fixed = statement
    values = {**fixed, **values}
    if "seen_at_ms" in names:
        from convostore import clock

        values["seen_at_ms"] = clock.now_ms()
    return store.execute(text, [values[name] for name in names]).fetchall()


def owner_of(store: sqlite3.Connection, name: str | None) -> str | None:
    """Return the id of the owner of that name, of the personal one without; None if unknown."""
    if name is None:
        rows = rows_of(store, sql.PERSONAL_OWNER)
    else:
        rows = rows_of(store, sql.OWNER_BY_NAME, name=name)
    return str(rows[0][0]) if rows else None


def _newest(
    store: sqlite3.Connection, owner: str | None, count: int, shelf: str, beginning: str
) -> list[Conversation]:
    owner_id = owner_of(store, owner)
    if owner_id is None:
        return []
    if count > MOST:
        raise DoubtError
    rows = rows_of(store, _SHELVES[shelf], owner_id=owner_id, most=count)
    found = {one.id: one for one in map(_conversation, rows) if one.handle.startswith(beginning)}
    if beginning and shelf == "list":
        others = map(_conversation, _by_handle(store, owner_id, beginning))
        found |= {one.id: one for one in others}
    return list(found.values())


def _path(
    store: sqlite3.Connection, owner: str | None, ref: str
) -> tuple[Conversation, list[Message], str | None]:
    owner_id = owner_of(store, owner)
    if owner_id is None:
        raise DoubtError
    found = find(store, owner_id, ref)
    if found.head_seq is None:
        return found, [], None
    at = {"owner_id": owner_id, "conversation_id": found.id}
    messages = _messages(rows_of(store, sql.UP_TO, last=found.head_seq, **at))
    remote = rows_of(store, sql.REMOTE, seq=found.head_seq, **at)
    return found, _walk(messages, found.head_seq), remote[0][3] if remote else None


def find(store: sqlite3.Connection, owner_id: str, ref: str) -> Conversation:
    """Look up what was typed, in the order of `lookup.find`."""
    bare = ref.strip()
    if bare.startswith("@"):
        number = bare[1:] or "1"
        if not (number.isascii() and number.isdigit() and len(number) < _MOST_DIGITS):
            raise DoubtError
        nth = int(number)
        ((id_,),) = rows_of(store, sql.NTH, owner_id=owner_id, nth=nth, skip=nth - 1)
        rows = rows_of(store, sql.BY_ID, owner_id=owner_id, id=id_)
    else:
        rows = (
            rows_of(store, sql.BY_ID, owner_id=owner_id, id=fold_id(bare))
            or rows_of(store, sql.BY_KEY, owner_id=owner_id, key=ref)
            or rows_of(store, sql.BY_KEY, owner_id=owner_id, key=bare)
            or _by_handle(store, owner_id, fold_handle(ref))
        )
    if len(rows) != 1:
        raise DoubtError
    return _conversation(rows[0])


def _by_handle(store: sqlite3.Connection, owner_id: str, handle: str) -> list[Any]:
    if not is_handle_like(handle):
        return []
    return rows_of(store, sql.BY_HANDLE, owner_id=owner_id, low=handle, high=handle + "~")


def _walk(messages: dict[int, Message], head_seq: int) -> list[Message]:
    """Walk from *head_seq* to the root, as `reads.walk` does."""
    way = [messages[head_seq]]
    while (seq := way[-1].parent_seq) is not None:
        if seq >= way[-1].seq:
            raise DoubtError
        way.append(messages[seq])
    return way[::-1]


def _conversation(row: Any) -> Conversation:
    found = Conversation(row)
    for name in ("settings", "metadata"):
        value = found.__dict__[name]
        if value and not isinstance(_json(value), dict):
            raise DoubtError
    found.pinned = bool(found.pinned)
    found.tags = _tags(found.__dict__["tags"])
    return found


def _tags(rows: str) -> tuple[str, ...]:
    """Return the names in a JSON array of rows of tags, as `rows.tags_from` does."""
    if rows == "[]":
        return ()
    names = [_text(name) for (name,) in _json(rows)]
    return tuple(sorted(names))


def _messages(rows: Iterable[Any]) -> dict[int, Message]:
    """Make messages, by seq, of rows of MESSAGE_COLUMNS, as `rows.messages_from` does."""
    messages: dict[int, Message] = {}
    for row in rows:
        one = Message(row)
        values = one.__dict__
        if one.status == "streaming":
            one.text, one.parts = _journal(values["journal"])
            one.status = "interrupted" if _is_dead(values["lease"]) else one.status
        else:
            one.parts = _parts(values["parts"])
        error = values["error"]
        one.error = None if error is None else Error(_object(_json(error)))
        above = None if one.parent_seq is None else messages.get(one.parent_seq)
        one.parent_id = None if above is None else above.id
        messages[one.seq] = one
    return messages


def _is_dead(lease: str | None) -> bool:
    from convostore import clock
    from convostore.storage.leases import is_dead

    return is_dead(lease, clock.now_ms())


def _parts(shape: str | None) -> tuple[Part, ...]:
    """Return what of a stored shape is not text, as `rows.decode_parts` does."""
    if shape is None:
        return ()
    items = _json(shape)
    if not isinstance(items, list):
        raise DoubtError
    return tuple(_part(item) for item in items if not _is_length(item))


def _is_length(item: object) -> bool:
    return type(item) is int and item >= 0


def _part(item: object) -> Part:
    values = _object(item)
    tag = _text(values["t"])
    for name in _TEXTS[tag]:
        _text(values[name])
    if tag == "opaque" and "data" not in values:
        raise DoubtError
    if tag == "attachment":
        values = {"media_type": "application/octet-stream", "name": "", **values}
        if type(values["size"]) is not int:
            raise DoubtError
        _text(values["media_type"]), _text(values["name"])
    return Part(tag, values)


def _journal(pieces: str | None) -> tuple[str, tuple[Part, ...]]:
    """Return the text and the other parts of a running reply, as `rows.fold_journal` does."""
    texts: list[str] = []
    parts: list[Part] = []
    last = ""
    rows = _json(pieces or "[]")
    if any(type(seq) is not int for seq, _, _ in rows):
        raise DoubtError
    for _, kind, text in sorted(rows):
        if _text(kind) == "text":
            texts.append(_text(text))
        elif kind != "reasoning":
            parts.append(_part(_json(text)))
        elif last == "reasoning":
            parts[-1].values["text"] += _text(text)
        else:
            parts.append(Part("reasoning", {"text": _text(text)}))
        last = kind
    return "".join(texts), tuple(parts)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DoubtError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise DoubtError
    return value


def _json(text: str) -> Any:
    """Decode what stands in a column; `json` is loaded only for what needs it."""
    from json import loads

    if "\\ud" in text.lower():  # half a character, which one decoder takes and the other refuses
        raise DoubtError
    return loads(text, parse_constant=_refuse)


def _refuse(word: str) -> None:  # noqa: ARG001 - json hands it over
    """Refuse Infinity and NaN, which are no JSON."""
    raise DoubtError
