"""Searching a store: first what is not indexed yet, within a bound, then a page of hits."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore import clock
from convostore.errors import ConversationNotFoundError, FormatError
from convostore.query import parse
from convostore.records import SearchHit, SearchPage
from convostore.storage import lookup, search_reads
from convostore.storage.canonical import to_json
from convostore.storage.matching import OnFile, OnServer
from convostore.storage.search_index import (
    LARGE,
    START,
    CatchUp,
    NextSlice,
    Restart,
    Slice,
    catch_up,
    next_slices,
    restart_index,
)
from convostore.storage.searching import (
    BRANCHED,
    DETAILS,
    LINKS,
    WINDOW,
    Wish,
    cursor_of,
    print_of,
    search,
)
from convostore.words import version

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.query import Query
    from convostore.storage.database import Database, Reading
    from convostore.storage.searching import Found
    from convostore.storage.statements import Hot, Row

MOST_IN_A_PAGE: Final = 200
CATCH_UP_S: Final = 0.5  # a person waits as long for an answer without wondering
_MOST_COUNTED: Final = 10_000  # marks; what is more takes minutes anyway
_cursor = msgspec.json.Decoder(list[int | float | str])


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants of a search; see `Store.search`."""

    typed: str
    limit: int
    cursor: str | None
    newest_first: bool
    all_branches: bool
    reasoning: bool


async def find_page(database: Database, owner_id: str, asked: Asked) -> SearchPage:
    """Search, after indexing what is not indexed yet.

    Raises:
        ConversationNotFoundError: `in:` names no conversation.
        AmbiguousHandleError: it names several.
        FormatError: the cursor is none of this search.
        StoreError: whatever else the database says.
    """
    query = parse(asked.typed, clock.now_ms())
    remarks = tuple(query.remarks)
    flags = (asked.newest_first, asked.all_branches, asked.reasoning)
    mark = print_of(asked.typed, *flags)
    at = None if asked.cursor is None else _decode(asked.cursor, mark, _engine(database).newest)
    if query.is_empty:
        return SearchPage((), remarks=remarks)
    wish = Wish(
        query,
        _engine(database),
        owner_id,
        limit=max(1, min(asked.limit, MOST_IN_A_PAGE)),
        within=await _within(database, owner_id, query),
        newest_first=asked.newest_first,
        all_branches=asked.all_branches,
        reasoning=asked.reasoning,
        at=at,
    )
    unindexed, found = 0, await database.read_through(lambda: _if_all_is_indexed(wish))
    if found is None:
        unindexed = await _catch_up(database, owner_id)
        found = await database.read_through(lambda: _steps(wish))
    hits = tuple(
        SearchHit(**{name: getattr(hit, name) for name in SearchHit.__struct_fields__})
        for hit in found.hits
    )
    return SearchPage(hits, cursor_of(mark, found.position), unindexed, remarks)


async def reindex(database: Database) -> int:
    """Make the whole index again, of all owners, and return how many texts are in it.

    It can be broken off at any time; what is left is indexed by whoever searches or writes.

    Raises:
        StoreError: whatever the database says.
    """
    await database.write(restart_index, "", Restart())
    return sum([count async for count in index_marked(database)])


async def index_marked(database: Database) -> AsyncGenerator[int]:
    """Index what is marked, of all owners, a slice at a time; yield how many texts each has put in.

    Raises:
        StoreError: whatever the database says.
    """
    part = Slice(put_in=0, after=START, more=True)
    while part.more:
        part = await database.write(next_slices, "", NextSlice(after=part.after, most=LARGE))
        yield part.put_in


def _engine(database: Database) -> type[OnFile | OnServer]:
    return OnServer if database.on_server else OnFile


async def _catch_up(database: Database, owner_id: str) -> int:
    """Index what is marked, for half a second at most; return how many marks are left."""
    deadline_s = clock.monotonic_s() + CATCH_UP_S
    after = ("", -1)
    is_current, left = await _state(database, owner_id)
    while (left or not is_current) and clock.monotonic_s() < deadline_s:
        part: Slice = await database.write(catch_up, owner_id, CatchUp(after=after))
        after = part.after[1:]
        is_current, left = await _state(database, owner_id)
        if not part.more:
            break
    return left


async def _state(database: Database, owner_id: str) -> tuple[bool, int]:
    """Tell whether the index has this program's words, and how many marks are left."""
    return _told(await database.read(search_reads.STATE, owner_id=owner_id, most=_MOST_COUNTED))


def _told(state: list[Row]) -> tuple[bool, int]:
    stored, left, _ = state[0]
    return stored in {None, version()}, int(left)


async def _within(database: Database, owner_id: str, query: Query) -> str:
    if query.within is None:
        return ""
    try:
        return (await lookup.find(database, owner_id, query.within)).id
    except ConversationNotFoundError as error:
        raise ConversationNotFoundError(
            f"in:{query.within} names no conversation",
            hint=f'to look for the words, quote them: "in:{query.within}"',
        ) from error


def _if_all_is_indexed(wish: Wish) -> Reading[Found | None]:
    """Search where all is indexed, and by this program's words; else find nothing out."""
    state = yield search_reads.STATE, {"owner_id": wish.owner_id, "most": 1}
    if _told(state) != (True, 0):
        return None
    wish.alone = state[0][2] == 1
    return (yield from _steps(wish))


def _steps(wish: Wish) -> Reading[Found]:
    """Ask for the statements of a search one after the other."""
    hots = _statements(wish)
    going = search(wish)
    name, values = next(going)
    while True:
        if "places" in values:
            values["places"] = to_json(values["places"])
        rows = yield hots[name], values
        try:
            name, values = going.send([tuple(row) for row in rows])
        except StopIteration as end:
            found: Found = end.value
            return found


def _statements(wish: Wish) -> dict[str, Hot]:
    reads = search_reads
    ways = {BRANCHED: reads.BRANCHED, LINKS: reads.LINKS}
    if wish.engine is OnServer:
        window = reads.SERVER_RANKED if wish.ranked else reads.SERVER_NEWEST
        return {**ways, WINDOW: window, DETAILS: reads.SERVER_DETAILS}
    if wish.ranked and wish.is_bare:
        window = reads.FILE_SCORED
    elif wish.query.has_filters:
        window = reads.FILE_RANKED_NARROWED if wish.ranked else reads.FILE_NEWEST_NARROWED
    else:
        window = reads.FILE_RANKED if wish.ranked else reads.FILE_NEWEST
    return {**ways, WINDOW: window, DETAILS: reads.FILE_DETAILS}


def _decode(cursor: str, mark: int, newest: tuple[Any, ...]) -> list[Any]:
    """Return where a page ended.

    Raises:
        FormatError: it is no cursor of this search.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        said, *at = _cursor.decode(raw)
        size = len(newest)
        kinds = [type(part) for part in newest]
        fits = [type(part) for part in at[:size]] == kinds and len(at) in {size, 2 * size + 1}
        if len(at) > size:
            fits = fits and [type(part) for part in at[size : 2 * size]] == kinds
            fits = fits and isinstance(at[-1], int | float)
        if said == mark and fits:
            return at
    except (ValueError, binascii.Error, msgspec.DecodeError):
        pass
    raise FormatError(
        "the cursor is none that a page of this search gave",
        format="cursor",
        record=None,
        reason="not readable, or of another query",
        hint="begin again without a cursor",
    )
