"""What is read: each a statement, and what makes records of its rows."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, case, select, tuple_, union_all

from convostore import clock
from convostore.errors import (
    AmbiguousHandleError,
    ConversationNotFoundError,
    FormatError,
    StoreCorruptError,
)
from convostore.ids import fold_handle, is_handle_like
from convostore.records import (
    ConversationDossier,
    ConversationRecord,
    Message,
    Page,
    RemoteThread,
    RemoteThreadNote,
    UsageRecord,
)
from convostore.storage.conversations import OWNER_BY_NAME, PERSONAL_OWNER
from convostore.storage.rows import (
    CONVERSATION_COLUMNS,
    MESSAGE_COLUMNS,
    REMOTE_COLUMNS,
    USAGE_COLUMNS,
    conversation_from,
    messages_from,
    remote_from,
    usage_from,
)
from convostore.storage.statements import Hot, json_rows
from convostore.storage.tables import conversation, journal, message, remote_thread, usage

if TYPE_CHECKING:
    from convostore.storage.database import Database
    from convostore.storage.statements import Row

MOST_CANDIDATES = 10  # of an ambiguous handle: more help nobody
MOST_IN_A_PAGE = 200

_OWNED = conversation.c.owner_id == bindparam("owner_id")
_KEPT = conversation.c.deleted_at_ms.is_(None)
_LISTED = (_OWNED, _KEPT, conversation.c.archived_at_ms.is_(None))
_ORDER = (conversation.c.pinned, conversation.c.updated_at_ms, conversation.c.id)
_NEWEST_FIRST = tuple(column.desc() for column in _ORDER)

_conversation = select(*CONVERSATION_COLUMNS).where(_OWNED, _KEPT)
_BY_ID = Hot(_conversation.where(conversation.c.id == bindparam("id")))
_BY_KEY = Hot(_conversation.where(conversation.c.key == bindparam("key")))
_BY_HANDLE = Hot(
    _conversation.where(
        conversation.c.handle >= bindparam("low"), conversation.c.handle < bindparam("high")
    )
    .order_by(conversation.c.handle)
    .limit(MOST_CANDIDATES + 1)
)
_PAGE = Hot(
    select(*CONVERSATION_COLUMNS).where(*_LISTED).order_by(*_NEWEST_FIRST).limit(bindparam("most"))
)
_NEXT_PAGE = Hot(
    select(*CONVERSATION_COLUMNS)
    .where(
        *_LISTED,
        tuple_(*_ORDER) < tuple_(bindparam("pinned"), bindparam("updated"), bindparam("id")),
    )
    .order_by(*_NEWEST_FIRST)
    .limit(bindparam("most"))
)


def _newest(*where: Any) -> Any:
    """Return the newest ids of one part of the list index, as a subquery."""
    columns = (conversation.c.id, conversation.c.updated_at_ms)
    newest = select(*columns).where(_OWNED, *where)
    newest = newest.order_by(conversation.c.updated_at_ms.desc(), conversation.c.id.desc())
    return select(newest.limit(bindparam("nth")).subquery())


# Three index ranges instead of an index of its own, which every turn would have to move.
_active = union_all(
    _newest(*_LISTED, conversation.c.pinned == 1),
    _newest(*_LISTED, conversation.c.pinned == 0),
    _newest(_KEPT, conversation.c.archived_at_ms.is_not(None)),
).subquery()
_NTH = Hot(
    select(_active.c.id)
    .order_by(_active.c.updated_at_ms.desc(), _active.c.id.desc())
    .limit(1)
    .offset(bindparam("skip"))
)

_pieces = (
    select(json_rows(journal.c.seq, journal.c.kind, journal.c.text))
    .where(
        journal.c.owner_id == message.c.owner_id,
        journal.c.conversation_id == message.c.conversation_id,
        journal.c.message_seq == message.c.seq,
    )
    .scalar_subquery()
)
_IN_CONVERSATION = (
    message.c.owner_id == bindparam("owner_id"),
    message.c.conversation_id == bindparam("conversation_id"),
)
_messages = select(
    *MESSAGE_COLUMNS, case((message.c.status == "streaming", _pieces), else_=None)
).where(*_IN_CONVERSATION)
_BETWEEN = Hot(
    _messages.where(message.c.seq > bindparam("after"), message.c.seq <= bindparam("last"))
    .order_by(message.c.seq)
    .limit(bindparam("most"))
)
_UP_TO = Hot(_messages.where(message.c.seq <= bindparam("last")).order_by(message.c.seq))
_IDS = Hot(
    select(message.c.seq, message.c.id).where(
        *_IN_CONVERSATION, message.c.seq >= bindparam("low"), message.c.seq <= bindparam("high")
    )
)
_SEQ_OF = Hot(select(message.c.seq).where(*_IN_CONVERSATION, message.c.id == bindparam("id")))
_CHILDREN = Hot(
    _messages.where(
        message.c.seq > bindparam("parent_seq"), message.c.parent_seq == bindparam("parent_seq")
    ).order_by(message.c.seq)
)
_REMOTE = Hot(
    select(*REMOTE_COLUMNS).where(
        remote_thread.c.owner_id == bindparam("owner_id"),
        remote_thread.c.conversation_id == bindparam("conversation_id"),
        remote_thread.c.message_seq == bindparam("seq"),
    )
)
_CONVERSATION_IDS = Hot(
    select(conversation.c.id)
    .where(_OWNED, _KEPT, conversation.c.id > bindparam("after"))
    .order_by(conversation.c.id)
    .limit(bindparam("most"))
)
_RUNNING = Hot(
    select(message.c.conversation_id, message.c.seq, message.c.lease).where(
        message.c.owner_id == bindparam("owner_id"), message.c.status == "streaming"
    )
)
_usages = (
    select(json_rows(*USAGE_COLUMNS, usage.c.id))
    .where(
        usage.c.owner_id == conversation.c.owner_id, usage.c.conversation_id == conversation.c.id
    )
    .scalar_subquery()
)
_remotes = (
    select(json_rows(*REMOTE_COLUMNS))
    .where(
        remote_thread.c.owner_id == conversation.c.owner_id,
        remote_thread.c.conversation_id == conversation.c.id,
    )
    .scalar_subquery()
)
_DOSSIER = Hot(
    select(*CONVERSATION_COLUMNS, _usages, _remotes).where(
        _OWNED, _KEPT, conversation.c.id == bindparam("id")
    )
)


async def owner_named(database: Database, name: str | None) -> str | None:
    """Return the id of the owner of that name, of the personal one without; None if unknown."""
    rows = (
        await database.read(PERSONAL_OWNER)
        if name is None
        else await database.read(OWNER_BY_NAME, name=name)
    )
    return str(rows[0][0]) if rows else None


async def conversation_by_id(database: Database, owner_id: str, id: str) -> ConversationRecord:
    """Read one conversation.

    Raises:
        ConversationNotFoundError: this owner has none of that id.
    """
    rows = await database.read(_BY_ID, owner_id=owner_id, id=id)
    if not rows:
        raise _not_found(id)
    return conversation_from(rows[0])


async def find(database: Database, owner_id: str, ref: str) -> ConversationRecord:
    """Look up what a person or program typed: `@n`, id, key, handle, or a handle's beginning.

    Raises:
        ConversationNotFoundError: nothing fits.
        AmbiguousHandleError: the beginning fits several.
    """
    ref = ref.strip()
    if ref.startswith("@"):
        return await _nth_newest(database, owner_id, ref)
    for hot, name in ((_BY_ID, "id"), (_BY_KEY, "key")):
        rows = await database.read(hot, owner_id=owner_id, **{name: ref})
        if rows:
            return conversation_from(rows[0])
    handle = fold_handle(ref)
    rows = []
    if is_handle_like(handle):
        rows = await database.read(_BY_HANDLE, owner_id=owner_id, low=handle, high=handle + "~")
    if not rows:
        raise _not_found(ref)
    found = [conversation_from(row) for row in rows]
    if len(found) > 1:
        candidates = tuple((one.handle, one.title or "") for one in found[:MOST_CANDIDATES])
        raise AmbiguousHandleError(
            f"{ref} fits more than one conversation",
            hint="type more of the handle: " + ", ".join(handle for handle, _ in candidates),
            candidates=candidates,
        )
    return found[0]


async def _nth_newest(database: Database, owner_id: str, ref: str) -> ConversationRecord:
    number = ref[1:] or "1"
    if not (number.isascii() and number.isdigit()) or not 0 < int(number[:9]) < 10**8:
        raise _not_found(ref)
    rows = await database.read(_NTH, owner_id=owner_id, nth=int(number), skip=int(number) - 1)
    if not rows:
        raise _not_found(ref)
    return await conversation_by_id(database, owner_id, rows[0][0])


def _not_found(ref: str) -> ConversationNotFoundError:
    return ConversationNotFoundError(
        f"there is no conversation {ref}", hint="see them all: convostore list"
    )


async def list_page(
    database: Database, owner_id: str, limit: int, cursor: str | None
) -> Page[ConversationRecord]:
    """Read a page of the list: pinned first, then newest activity first; no archived ones.

    Raises:
        FormatError: the cursor is none of ours.
    """
    most = max(1, min(limit, MOST_IN_A_PAGE))
    if cursor is None:
        rows = await database.read(_PAGE, owner_id=owner_id, most=most + 1)
    else:
        pinned, updated, id_ = _decode_cursor(cursor)
        rows = await database.read(
            _NEXT_PAGE, owner_id=owner_id, most=most + 1, pinned=pinned, updated=updated, id=id_
        )
    records = tuple(conversation_from(row) for row in rows[:most])
    more = len(rows) > most
    return Page(records, _encode_cursor(records[-1]) if more else None)


def _encode_cursor(record: ConversationRecord) -> str:
    key = [int(record.pinned), record.updated_at_ms, record.id]
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def _decode_cursor(cursor: str) -> tuple[int, int, str]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=tuple[int, int, str])
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise FormatError(
            "the cursor is none that a page of this list gave",
            format="cursor",
            record=None,
            reason="not readable",
            hint="begin again without a cursor",
        ) from error


async def path(
    database: Database, owner_id: str, conversation_id: str, head_seq: int | None
) -> tuple[Message, ...]:
    """Read the messages from the root to *head_seq*, in order; a running reply as far as it is.

    Raises:
        StoreCorruptError: a parent is missing.
    """
    if head_seq is None:
        return ()
    rows = await database.read(
        _UP_TO, owner_id=owner_id, conversation_id=conversation_id, last=head_seq
    )
    return walk(messages_from(rows, clock.now_ms()), head_seq)


def walk(messages: list[Message], head_seq: int) -> tuple[Message, ...]:
    """Walk from *head_seq* to the root through messages in order of seq.

    Raises:
        StoreCorruptError: a parent is missing or stands after its child.
    """
    by_seq = {one.seq: one for one in messages}
    way: list[Message] = []
    seq: int | None = head_seq
    while seq is not None:
        one = by_seq.get(seq)
        if one is None or (way and one.seq >= way[-1].seq):
            raise StoreCorruptError(
                "a message's parent is missing", hint="look: convostore db check"
            )
        way.append(one)
        seq = one.parent_seq
    return tuple(reversed(way))


async def messages_between(
    database: Database, owner_id: str, conversation_id: str, *, after: int, last: int, most: int
) -> tuple[Message, ...]:
    """Read messages of the whole tree with after < seq <= last, ascending, at most *most*."""
    rows = await database.read(
        _BETWEEN,
        owner_id=owner_id,
        conversation_id=conversation_id,
        after=after,
        last=last,
        most=most,
    )
    messages = messages_from(rows, clock.now_ms())
    return tuple(await _with_parents(database, owner_id, conversation_id, messages))


async def _with_parents(
    database: Database, owner_id: str, conversation_id: str, messages: list[Message]
) -> list[Message]:
    """Fill in the ids of parents that lie outside of what was read."""
    open_ = {one.parent_seq for one in messages if one.parent_seq and one.parent_id is None}
    if not open_:
        return messages
    rows = await database.read(
        _IDS,
        owner_id=owner_id,
        conversation_id=conversation_id,
        low=min(s for s in open_ if s),
        high=max(s for s in open_ if s),
    )
    ids = {seq: id_ for seq, id_ in rows}  # noqa: C416 - dict() does not know untyped rows
    return [
        msgspec.structs.replace(one, parent_id=ids.get(one.parent_seq))
        if one.parent_id is None and one.parent_seq
        else one
        for one in messages
    ]


async def answers(
    database: Database, owner_id: str, conversation_id: str, parent_seq: int
) -> tuple[Message, ...]:
    """Read the messages right below one, oldest first."""
    rows = await database.read(
        _CHILDREN, owner_id=owner_id, conversation_id=conversation_id, parent_seq=parent_seq
    )
    messages = messages_from(rows, clock.now_ms())
    return tuple(await _with_parents(database, owner_id, conversation_id, messages))


async def seq_of(
    database: Database, owner_id: str, conversation_id: str, message_id: str
) -> int | None:
    """Return the seq of a message by its id; None when the conversation has none such."""
    rows = await database.read(
        _SEQ_OF, owner_id=owner_id, conversation_id=conversation_id, id=message_id
    )
    return int(rows[0][0]) if rows else None


async def remote_of(
    database: Database, owner_id: str, conversation_id: str, seq: int | None
) -> RemoteThread | None:
    """Read what the far side keeps of one reply."""
    if seq is None:
        return None
    rows = await database.read(_REMOTE, owner_id=owner_id, conversation_id=conversation_id, seq=seq)
    return remote_from(rows[0]) if rows else None


async def running_replies(database: Database, owner_id: str) -> list[tuple[str, int, str]]:
    """List the replies stored as running: conversation id, seq, lease."""
    rows = await database.read(_RUNNING, owner_id=owner_id)
    return [(id_, seq, lease or "") for id_, seq, lease in rows]


async def conversation_ids(
    database: Database, owner_id: str, after_id: str | None, limit: int
) -> tuple[str, ...]:
    """List conversation ids after *after_id*, ascending, archived ones too, without the bin."""
    rows = await database.read(
        _CONVERSATION_IDS, owner_id=owner_id, after=after_id or "", most=limit
    )
    return tuple(row[0] for row in rows)


async def dossier(database: Database, owner_id: str, id: str) -> ConversationDossier | None:
    """Read a conversation with its usage and remote threads, in one statement."""
    rows = await database.read(_DOSSIER, owner_id=owner_id, id=id)
    if not rows:
        return None
    *columns, usages, remotes = rows[0]
    return ConversationDossier(
        record=conversation_from(tuple(columns)),
        usage=tuple(_usage_record(row) for row in sorted(_rows(usages), key=lambda row: row[-1])),
        remotes=tuple(_note(row) for row in sorted(_rows(remotes))),
    )


def _rows(text: str | None) -> list[Row]:
    return [tuple(row) for row in msgspec.json.decode(text or "[]")]


def _usage_record(row: Row) -> UsageRecord:
    return UsageRecord(
        id=row[9],
        message_seq=row[0],
        provider=row[1],
        model=row[2],
        created_at_ms=row[3],
        usage=usage_from(row),
    )


def _note(row: Row) -> RemoteThreadNote:
    remote = remote_from(row)
    return RemoteThreadNote(
        message_seq=row[0],
        server_url=remote.server_url,
        dialect=remote.dialect,
        same_text=remote.same_text,
        expires_at_ms=remote.expires_at_ms,
    )
