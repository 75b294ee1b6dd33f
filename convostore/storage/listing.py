"""The list, page by page; and which conversations a filter means.

The plain list is one read of one index. For a filter the three shelves of the list (pinned, not
pinned, archived) are walked in their order, a bounded span of their index at a time, so that no
read is long, however few conversations fit. Where an index says that few can fit, those alone are
looked at. No read touches messages. The bin is a shelf apart, in the order of its deletions.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from contextlib import aclosing
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from sqlalchemy import bindparam, select, tuple_

from convostore.errors import FormatError
from convostore.records import ConversationRecord, Filter, Page
from convostore.storage.canonical import to_json
from convostore.storage.filters import (
    BIN,
    SHELVES,
    TIMES,
    candidates,
    condition,
    fitting_title,
    shape_of,
    shelves_of,
    values_of,
)
from convostore.storage.kept import BINNED, EXPIRED, KEPT
from convostore.storage.rows import RECORD_COLUMNS, conversation_from
from convostore.storage.statements import Hot, one_of
from convostore.storage.tables import conversation

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from convostore.storage.database import Database
    from convostore.storage.statements import Row

MOST_IN_A_PAGE: Final = 200
FIRST_SPAN: Final = 500  # index entries of the first read of a walk; each next one has more
LONGEST_SPAN: Final = 4000  # read in some milliseconds
_FAR_MS: Final = 2**63 - 1
_PLAIN: Final = Filter()

_Stored = Annotated[int, msgspec.Meta(ge=0, le=_FAR_MS)]
_Shelf = Annotated[int, msgspec.Meta(ge=0, le=3)]


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a conversation stands in the list.

    Attributes:
        shelf: 0 has the pinned ones, 1 those that are not, 2 the archive, 3 the bin.
        at_ms: of the newest activity; in the bin of the deletion.
        id: breaks the tie of equal times.
    """

    shelf: _Shelf
    at_ms: _Stored
    id: str

    def rank(self) -> tuple[int, int, str]:
        """Return what puts positions in the list's order, the last one first."""
        return (-self.shelf, self.at_ms, self.id)


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    """What a cursor says: the position that it goes on after, and of which list."""

    after: Position
    of: str


_cursor = msgspec.json.Decoder(_Cursor)

_c = conversation.c
_OWNED = _c.owner_id == bindparam("owner_id")
_LISTED = (_OWNED, *KEPT, _c.archived_at_ms.is_(None))
_ORDER = (_c.pinned, _c.updated_at_ms, _c.id)
_NEWEST_FIRST = tuple(column.desc() for column in _ORDER)
_PAGE = Hot(
    select(*RECORD_COLUMNS).where(*_LISTED).order_by(*_NEWEST_FIRST).limit(bindparam("most"))
)
# What a shell is offered to be brought back; read by `fastread.newest` alone.
_ARCHIVE = Hot(
    select(*RECORD_COLUMNS)
    .where(_OWNED, *KEPT, _c.archived_at_ms.is_not(None))
    .order_by(_c.updated_at_ms.desc(), _c.id.desc())
    .limit(bindparam("most"))
)
_BIN = Hot(
    select(*RECORD_COLUMNS)
    .where(_OWNED, *BINNED)
    .order_by(_c.deleted_at_ms.desc(), _c.id.desc())
    .limit(bindparam("most"))
)
_NEXT_PAGE = Hot(
    select(*RECORD_COLUMNS)
    .where(
        *_LISTED,
        tuple_(*_ORDER) < tuple_(bindparam("pinned"), bindparam("updated"), bindparam("id")),
    )
    .order_by(*_NEWEST_FIRST)
    .limit(bindparam("most"))
)
_RECORDS = Hot(select(*RECORD_COLUMNS).where(_OWNED, *KEPT, one_of(_c.id, "ids")))
# By its own index: on a walk the condition would take each conversation's row.
_EXPIRED = Hot(select(_c.id).where(_OWNED, *EXPIRED))
_BINNED = Hot(select(*RECORD_COLUMNS).where(_OWNED, *BINNED, one_of(_c.id, "ids")))


async def list_page(
    database: Database, owner_id: str, filter: Filter, *, limit: int, cursor: str | None
) -> Page[ConversationRecord]:
    """Read a page of the list: pinned first, then newest activity first, then the archive.

    Args:
        database: where.
        owner_id: whose.
        filter: which.
        limit: of the page, brought between 1 and 200.
        cursor: of the page before.

    Raises:
        FormatError: the cursor is none of ours, or one of another list.
    """
    most = max(1, min(limit, MOST_IN_A_PAGE))
    of = _name_of(owner_id, filter)
    after = None if cursor is None else _decode_cursor(cursor, of)
    if filter != _PLAIN:
        return await _filtered(database, owner_id, filter, most=most, after=after)
    if after is None:
        rows = await database.read(_PAGE, owner_id=owner_id, most=most + 1)
    else:
        at = {"pinned": 1 - after.shelf, "updated": after.at_ms, "id": after.id}
        rows = await database.read(_NEXT_PAGE, owner_id=owner_id, most=most + 1, **at)
    records = tuple(conversation_from(row) for row in rows[:most])
    if len(rows) <= most:
        return Page(records)
    last = records[-1]
    return Page(
        records, _encode_cursor(Position(int(not last.pinned), last.updated_at_ms, last.id), of)
    )


async def matching(database: Database, owner_id: str, filter: Filter) -> tuple[str, ...]:
    """Return the ids of all that *filter* means, in the order of the list."""
    found: list[str] = []
    async with aclosing(_fitting(database, owner_id, filter, None, LONGEST_SPAN)) as parts:
        async for part in parts:
            found += [one.id for one in part]
    return tuple(found)


async def records(
    database: Database, owner_id: str, ids: Iterable[str], *, deleted: bool = False
) -> tuple[ConversationRecord, ...]:
    """Read the records of *ids*, in their order; without those that are gone or in the bin.

    With *deleted*, without those that are not in the bin.
    """
    wanted = list(ids)
    hot = _BINNED if deleted else _RECORDS
    rows = await database.read(hot, owner_id=owner_id, ids=to_json(wanted))
    found = {one.id: one for one in map(conversation_from, rows)}
    return tuple(found[id_] for id_ in wanted if id_ in found)


async def _filtered(
    database: Database, owner_id: str, filter: Filter, *, most: int, after: Position | None
) -> Page[ConversationRecord]:
    found: list[Position] = []
    async with aclosing(_fitting(database, owner_id, filter, after, most + 1)) as parts:
        async for part in parts:
            found += part
            if len(found) > most:
                break
    ids = (one.id for one in found[:most])
    page = await records(database, owner_id, ids, deleted=filter.deleted)
    more = len(found) > most
    cursor = _encode_cursor(found[most - 1], _name_of(owner_id, filter)) if more else None
    return Page(page, cursor)


async def _fitting(
    database: Database, owner_id: str, filter: Filter, after: Position | None, wanted: int
) -> AsyncGenerator[list[Position]]:
    """Yield what *filter* means after a position, in the order of the list, some at a time.

    Args:
        database: where.
        owner_id: whose.
        filter: which.
        after: None begins at the list's own beginning.
        wanted: how many the caller will take.
    """
    values = {"owner_id": owner_id, **values_of(filter)}
    few = await candidates(database, filter, values)
    if few is not None:
        shape = shape_of(filter, everywhere=True)
        hot = _among(shape, deleted=filter.deleted)
        rows = await database.read(hot, ids=few, **values)
        yield _in_order(fitting_title(rows, filter), after)
        return
    shape = shape_of(filter, everywhere=False)
    expired = {id_ for (id_,) in await database.read(_EXPIRED, owner_id=owner_id)}
    for shelf in shelves_of(filter):
        if after is not None and shelf < after.shelf:
            continue
        at_top = after is not None and shelf == after.shelf
        top = (after.at_ms, after.id) if after is not None and at_top else None
        # Where all on the shelf fits, no more is read than is wanted.
        span = FIRST_SPAN if shape or filter.title else min(wanted, LONGEST_SPAN)
        async for rows in _walk(database, filter, values, (shelf, shape), top=top, span=span):
            yield [Position(shelf, at_ms, id_) for at_ms, id_, *_ in rows if id_ not in expired]


async def _walk(
    database: Database,
    filter: Filter,
    values: dict[str, Any],
    where: tuple[int, tuple[str, ...]],
    *,
    top: tuple[int, str] | None,
    span: int,
) -> AsyncGenerator[list[Row]]:
    """Yield what fits of one shelf, a span of its index at a time, from *top* down."""
    shelf, shape = where
    since_ms, until_ms = (None, None) if filter.deleted else (filter.since_ms, filter.until_ms)
    if top is None:
        top = (_FAR_MS if until_ms is None else until_ms, "")
    floor: tuple[int, str] = (since_ms or 0, "")
    more = True
    while more:
        at = {**values, "top_ms": top[0], "top_id": top[1]}
        ends = await database.read(
            _END[shelf], low_ms=floor[0], low_id=floor[1], skip=span - 1, **at
        )
        more = bool(ends)
        low = ends[0] if ends else floor
        hot = _within(shelf, shape, titled=filter.title is not None)
        rows = await database.read(hot, low_ms=low[0], low_id=low[1], **at)
        yield fitting_title(rows, filter)
        top, span = (low[0], low[1]), min(span * 2, LONGEST_SPAN)


def _order(shelf: int) -> tuple[Any, Any]:
    """Return what a shelf is in the order of."""
    return (TIMES[shelf], _c.id)


def _between(shelf: int) -> tuple[Any, ...]:
    return (
        tuple_(*_order(shelf)) < tuple_(bindparam("top_ms"), bindparam("top_id")),
        tuple_(*_order(shelf)) >= tuple_(bindparam("low_ms"), bindparam("low_id")),
        # Again, for PostgreSQL: it cannot tell from pairs how short a span is, and would read the
        # whole table. After the pairs, for SQLite looks up by what stands first.
        TIMES[shelf] <= bindparam("top_ms"),
        TIMES[shelf] >= bindparam("low_ms"),
    )


def _down(shelf: int) -> tuple[Any, ...]:
    return tuple(column.desc() for column in _order(shelf))


_END: Final = tuple(
    Hot(
        select(*_order(number))
        .where(*shelf, *_between(number))
        .order_by(*_down(number))
        .limit(1)
        .offset(bindparam("skip"))
    )
    for number, shelf in enumerate(SHELVES)
)


@cache  # some dozens of shapes, of which a program uses a few
def _within(shelf: int, shape: tuple[str, ...], *, titled: bool) -> Hot:
    """Return the statement that reads what fits of a span of a shelf."""
    order = _order(shelf)
    columns = (*order, _c.title) if titled else order
    where = (*SHELVES[shelf], *_between(shelf), *map(condition, shape))
    return Hot(select(*columns).where(*where).order_by(*_down(shelf)))


@cache
def _among(shape: tuple[str, ...], *, deleted: bool) -> Hot:
    """Return the statement that reads what fits of a few conversations, in no order."""
    at_ms, kept = (
        (_c.deleted_at_ms, (_OWNED, *BINNED)) if deleted else (_c.updated_at_ms, (_OWNED, *KEPT))
    )
    columns = (at_ms, _c.id, _c.title, _c.pinned, _c.archived_at_ms, _c.deleted_at_ms)
    return Hot(select(*columns).where(*kept, one_of(_c.id, "ids"), *map(condition, shape)))


def _in_order(rows: list[Row], after: Position | None) -> list[Position]:
    found = [Position(_shelf(*where), at_ms, id_) for at_ms, id_, _, *where in rows]
    found.sort(key=Position.rank, reverse=True)
    return [one for one in found if after is None or one.rank() < after.rank()]


def _shelf(pinned: int, archived_ms: int | None, deleted_ms: int | None) -> int:
    if deleted_ms is not None:
        return BIN
    return 2 if archived_ms is not None else 1 - pinned


def _name_of(owner_id: str, filter: Filter) -> str:
    """Return what tells the list of one owner and filter from any other."""
    return hashlib.sha256(to_json([owner_id, filter]).encode()).hexdigest()[:16]


def _encode_cursor(after: Position, of: str) -> str:
    said = msgspec.json.encode(_Cursor(after, of))
    return base64.urlsafe_b64encode(said).decode().rstrip("=")


def _decode_cursor(cursor: str, of: str) -> Position:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        said = _cursor.decode(raw)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise FormatError(
            "the cursor is none that a page of this list gave",
            format="cursor",
            record=None,
            reason="not readable",
            hint="begin again without a cursor",
        ) from error
    if said.of != of or "\x00" in said.after.id:
        raise FormatError(
            "the cursor is of another list",
            format="cursor",
            record=None,
            reason="of another owner or filter",
            hint="give the filter that its page was asked with, or begin again without a cursor",
        )
    return said.after
