"""Searching with the standard library's sqlite3 alone: what `search.py` finds, without a writer.

Only where everything is indexed, and by this program's words; else the answer is None, and the
full way indexes what is left, or says what is wrong.
"""

from __future__ import annotations

import json

from convostore.query import parse
from convostore.storage import fastread_sql as sql
from convostore.storage.fastread import DoubtError, find, in_one_state, owner_of, rows_of
from convostore.storage.matching import OnFile
from convostore.storage.searching import (
    BRANCHED,
    DETAILS,
    LINKS,
    WINDOW,
    Found,
    Wish,
    cursor_of,
    print_of,
    search,
)
from convostore.words import version

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    import sqlite3

    from convostore.query import Query
    from convostore.storage.fastread_sql import Statement


class Page:
    """A page of hits; attributes as in `records.SearchPage`."""

    unindexed = 0

    def __init__(self, found: Found, next_cursor: str | None, remarks: tuple[str, ...]) -> None:
        self.items = tuple(found.hits)
        self.next_cursor, self.remarks = next_cursor, remarks


def find_page(
    file: str,
    owner: str | None,
    typed: str,
    now_ms: int,
    *,
    limit: int,
    newest_first: bool,
    all_branches: bool,
    reasoning: bool,
) -> Page | None:
    """Return the first page of what fits; None where the full way has to look.

    Args:
        file: the store.
        owner: by name; None is the store's personal owner.
        typed: the query.
        now_ms: the time from which `7d` is counted.
        limit: 1 or more.
        newest_first: as in `Store.search`.
        all_branches: as there.
        reasoning: as there.
    """
    query = parse(typed, now_ms)

    def read(store: sqlite3.Connection) -> Page:
        owner_id = owner_of(store, owner)
        if owner_id is None or query.is_empty:
            return Page(Found([], None), None, tuple(query.remarks))
        alone = _is_alone(store, owner_id)
        wish = Wish(
            query,
            OnFile,
            owner_id,
            limit=limit,
            within=_within(store, owner_id, query),
            newest_first=newest_first,
            all_branches=all_branches,
            reasoning=reasoning,
        )
        wish.alone = alone
        found = _run(store, wish)
        mark = print_of(typed, newest_first, all_branches, reasoning)
        return Page(found, cursor_of(mark, found.position), tuple(query.remarks))

    return in_one_state(file, read)


def _is_alone(store: sqlite3.Connection, owner_id: str) -> bool:
    """Tell whether there is no other owner.

    Raises:
        DoubtError: not everything is indexed, or not by this program's words.
    """
    ((words, left, owners),) = rows_of(store, sql.STATE, owner_id=owner_id, most=1)
    if (words, left) != (version(), 0):
        raise DoubtError
    return bool(owners == 1)


def _within(store: sqlite3.Connection, owner_id: str, query: Query) -> str:
    return "" if query.within is None else find(store, owner_id, query.within.strip()).id


def _run(store: sqlite3.Connection, wish: Wish) -> Found:
    statements = _statements(wish)
    going = search(wish)
    name, values = next(going)
    while True:
        if "places" in values:
            values["places"] = json.dumps(values["places"])
        try:
            name, values = going.send(rows_of(store, statements[name], **values))
        except StopIteration as end:
            found: Found = end.value
            return found


def _statements(wish: Wish) -> dict[str, Statement]:
    if wish.ranked and wish.is_bare:
        window = sql.FILE_SCORED
    elif wish.query.has_filters:
        window = sql.FILE_RANKED_NARROWED if wish.ranked else sql.FILE_NEWEST_NARROWED
    else:
        window = sql.FILE_RANKED if wish.ranked else sql.FILE_NEWEST
    return {WINDOW: window, DETAILS: sql.FILE_DETAILS, BRANCHED: sql.BRANCHED, LINKS: sql.LINKS}
