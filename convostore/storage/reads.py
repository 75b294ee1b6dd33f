"""What is read: each a statement, and what makes records of its rows."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import and_, bindparam, case, func, select

from convostore import clock
from convostore.errors import MessageNotFoundError, StoreCorruptError
from convostore.storage.canonical import to_json
from convostore.storage.missing import or_all_of_it
from convostore.storage.rows import MESSAGE_COLUMNS, REMOTE_COLUMNS, messages_from, remote_from
from convostore.storage.statements import Hot, json_rows, one_of
from convostore.storage.tables import (
    IS_RUNNING,
    conversation,
    journal,
    message,
    remote_thread,
    summary,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from convostore.records import Message, RemoteThread
    from convostore.storage.database import Database, Reading
    from convostore.storage.statements import Row

    FarSide: TypeAlias = tuple[RemoteThread | None, str | None, bool]

MOST_SEQ = 2**31 - 1  # what an Integer of PostgreSQL holds

_OWNED = conversation.c.owner_id == bindparam("owner_id")
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
BETWEEN = Hot(
    _messages.where(message.c.seq > bindparam("after"), message.c.seq <= bindparam("last"))
    .order_by(message.c.seq)
    .limit(bindparam("most"))
)
_OF_SEVERAL = Hot(
    select(
        message.c.conversation_id,
        *MESSAGE_COLUMNS,
        case((message.c.status == "streaming", _pieces), else_=None),
    )
    .where(message.c.owner_id == bindparam("owner_id"), one_of(message.c.conversation_id, "ids"))
    .order_by(message.c.conversation_id, message.c.seq)
)
_UP_TO = Hot(_messages.where(message.c.seq <= bindparam("last")).order_by(message.c.seq))
_IDS = Hot(
    select(message.c.seq, message.c.id).where(
        *_IN_CONVERSATION, message.c.seq >= bindparam("low"), message.c.seq <= bindparam("high")
    )
)
_SEQ_OF = Hot(select(message.c.seq).where(*_IN_CONVERSATION, message.c.id == bindparam("id")))
_ONCE = Hot(
    select(message.c.conversation_id, message.c.seq)
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.idempotency_key.is_not(None),  # as its index has it
        message.c.idempotency_key >= bindparam("low"),
        message.c.idempotency_key < bindparam("high"),
    )
    .order_by(message.c.conversation_id, message.c.seq)
)
_IS_THERE = Hot(select(message.c.seq).where(*_IN_CONVERSATION, message.c.seq == bindparam("seq")))
_PARENTS = Hot(
    select(message.c.seq, message.c.parent_seq)
    .where(*_IN_CONVERSATION, message.c.seq > bindparam("seq"))
    .order_by(message.c.seq)
)
_PLACES = Hot(
    select(message.c.seq, message.c.parent_seq, message.c.id, message.c.source_id)
    .where(
        *_IN_CONVERSATION, message.c.seq > bindparam("after"), message.c.seq <= bindparam("last")
    )
    .order_by(message.c.seq)
    .limit(bindparam("most"))
)
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
_home = (
    select(remote_thread.c.server_url)
    .where(
        remote_thread.c.owner_id == conversation.c.owner_id,
        remote_thread.c.conversation_id == conversation.c.id,
    )
    .order_by(remote_thread.c.message_seq)
    .limit(1)
    .correlate(conversation)
    .scalar_subquery()
)
_compacted = (
    select(func.max(summary.c.message_seq))
    .where(
        summary.c.owner_id == conversation.c.owner_id,
        summary.c.conversation_id == conversation.c.id,
        summary.c.text.is_not(None),
    )
    .correlate(conversation)
    .scalar_subquery()
)
_FAR_SIDE = Hot(
    select(_home, _compacted, *REMOTE_COLUMNS)
    .select_from(
        conversation.outerjoin(
            remote_thread,
            and_(
                remote_thread.c.owner_id == conversation.c.owner_id,
                remote_thread.c.conversation_id == conversation.c.id,
                remote_thread.c.message_seq == bindparam("seq"),
            ),
        )
    )
    .where(_OWNED, conversation.c.id == bindparam("conversation_id"))
)
_RUNNING = Hot(
    select(message.c.conversation_id, message.c.seq, message.c.lease).where(
        message.c.owner_id == bindparam("owner_id"), IS_RUNNING
    )
)


async def path(
    database: Database, owner_id: str, conversation_id: str, head_seq: int | None
) -> tuple[Message, ...]:
    """Read the messages from the root to *head_seq*, in order; a running reply as far as it is.

    Raises:
        MessageNotFoundError: *head_seq* itself is not there.
        ConversationNotFoundError: nothing is there any more.
        StoreCorruptError: a parent is missing.
    """
    if head_seq is None:
        return ()
    now_ms, at = clock.now_ms(), {"owner_id": owner_id, "conversation_id": conversation_id}
    try:
        return await database.read_as(
            lambda rows: walk(messages_from(rows, now_ms), head_seq), _UP_TO, **at, last=head_seq
        )
    except MessageNotFoundError as error:
        raise await or_all_of_it(error, database, **at) from None


def walk(messages: list[Message], head_seq: int) -> tuple[Message, ...]:
    """Walk from *head_seq* to the root through messages in order of seq.

    Raises:
        MessageNotFoundError: *head_seq* itself is not there: its branch was removed.
        StoreCorruptError: a parent is missing or stands after its child.
    """
    if _is_line(messages, head_seq):
        return tuple(messages)
    by_seq = {one.seq: one for one in messages}
    if head_seq not in by_seq:
        raise MessageNotFoundError(
            f"message {head_seq} of this conversation is gone: its branch was removed",
            hint="resume the conversation again; if that does not help: convostore db check",
        )
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


def _is_line(messages: list[Message], head_seq: int) -> bool:
    """Tell whether each message stands below the one before it, as where nothing ever branched."""
    above = None
    for one in messages:
        if one.parent_seq != above:
            return False
        above = one.seq
    return above == head_seq


async def messages_between(
    database: Database, owner_id: str, conversation_id: str, *, after: int, last: int, most: int
) -> tuple[Message, ...]:
    """Read messages of the whole tree with after < seq <= last, ascending, at most *most*."""
    now_ms = clock.now_ms()
    messages = await database.read_as(
        lambda rows: messages_from(rows, now_ms),
        BETWEEN,
        owner_id=owner_id,
        conversation_id=conversation_id,
        after=after,
        last=last,
        most=most,
    )
    return tuple(await _with_parents(database, owner_id, conversation_id, messages))


async def messages_of(
    database: Database, owner_id: str, ids: Sequence[str]
) -> dict[str, tuple[Message, ...]]:
    """Read all messages of several conversations, by conversation, ascending."""
    now_ms = clock.now_ms()

    def by_conversation(rows: list[Row]) -> dict[str, tuple[Message, ...]]:
        return {
            id_: tuple(messages_from((row[1:] for row in group), now_ms))
            for id_, group in groupby(rows, key=itemgetter(0))
        }

    return await database.read_as(
        by_conversation, _OF_SEVERAL, owner_id=owner_id, ids=to_json(list(ids))
    )


async def places_between(
    database: Database, owner_id: str, conversation_id: str, *, after: int, last: int, most: int
) -> list[Row]:
    """Read seq, parent_seq, id and source_id of messages with after < seq <= last, ascending."""
    at = {"owner_id": owner_id, "conversation_id": conversation_id}
    return await database.read(_PLACES, **at, after=after, last=last, most=most)


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


async def message_at(database: Database, owner_id: str, conversation_id: str, seq: int) -> Message:
    """Read one message; a running reply as far as it is.

    Raises:
        MessageNotFoundError: it is gone.
    """
    at = (database, owner_id, conversation_id)
    found = await messages_between(*at, after=seq - 1, last=seq, most=1)
    if not found:
        raise MessageNotFoundError(f"message {seq} of this conversation is gone")
    return found[0]


async def versions_of(database: Database, owner_id: str, key: str) -> list[tuple[str, int]]:
    """Return conversation and seq of what was stored with an idempotency key, oldest first.

    The key is a JSON array; those that begin so, and go on, are of later versions.
    """
    within = {"low": key[:-1] + ",", "high": key[:-1] + "^"}  # after a text come `,` and `]` alone
    rows = await database.read(_ONCE, owner_id=owner_id, **within)
    return [(str(id_), int(seq)) for id_, seq in rows]


async def number_of(database: Database, owner_id: str, conversation_id: str, at: str | int) -> int:
    """Return the seq of a message that is named by its id or by that number itself.

    Raises:
        MessageNotFoundError: the conversation has no such message.
        ConversationNotFoundError: nothing of it is there any more.
    """
    found: int | None = None
    if isinstance(at, str):
        found = await seq_of(database, owner_id, conversation_id, at)
    elif 0 < at <= MOST_SEQ:
        rows = await database.read(
            _IS_THERE, owner_id=owner_id, conversation_id=conversation_id, seq=at
        )
        found = int(rows[0][0]) if rows else None
    if found is None:
        missing = MessageNotFoundError(
            f"this conversation has no message {at}", hint="convostore tree REF shows them all"
        )
        raise await or_all_of_it(missing, database, owner_id, conversation_id)
    return found


async def leaf_below(database: Database, owner_id: str, conversation_id: str, seq: int) -> int:
    """Return the seq of the newest message at or below one: nothing follows it."""
    rows = await database.read(
        _PARENTS, owner_id=owner_id, conversation_id=conversation_id, seq=seq
    )
    below = {seq}
    for one, parent_seq in rows:  # parents have the lower number
        if parent_seq in below:
            below.add(one)
    return max(below)


async def remote_of(
    database: Database, owner_id: str, conversation_id: str, seq: int | None
) -> RemoteThread | None:
    """Read what the far side keeps of one reply."""
    if seq is None:
        return None
    rows = await database.read(_REMOTE, owner_id=owner_id, conversation_id=conversation_id, seq=seq)
    return remote_from(rows[0]) if rows else None


async def far_side(
    database: Database, owner_id: str, conversation_id: str, seq: int | None
) -> FarSide:
    """Read what the far side keeps of a reply, the server that knows the conversation; if it is summed up."""
    return await database.read_through(lambda: look_far(owner_id, conversation_id, seq))


def look_far(owner_id: str, conversation_id: str, seq: int | None) -> Reading[FarSide]:
    """Ask for what `far_side` reads, after other statements of the same trip."""
    if seq is None:
        return None, None, False
    rows = yield (
        _FAR_SIDE,
        {"owner_id": owner_id, "conversation_id": conversation_id, "seq": seq},
    )
    if not rows:
        return None, None, False
    home_url, compacted, *columns = rows[0]
    remote = remote_from(tuple(columns)) if columns[0] is not None else None
    return remote, home_url, compacted is not None


async def running_replies(database: Database, owner_id: str) -> list[tuple[str, int, str]]:
    """List the replies stored as running: conversation id, seq, lease."""
    rows = await database.read(_RUNNING, owner_id=owner_id)
    return [(id_, seq, lease or "") for id_, seq, lease in rows]
