"""The list: its order, its pages, its cursors, and how its rows are found."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from convostore.errors import FormatError
from convostore.records import Message
from convostore.storage import (
    appends,
    conversations,
    dossiers,
    filters,
    journal,
    listing,
    lookup,
    ordering,
    reads,
    replies,
    search_reads,
    standing,
    turns,
)
from convostore.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore import Store
    from convostore.storage.sqlite import SqliteDatabase
    from convostore.storage.statements import Hot


@pytest.fixture
def manual() -> Iterator[ManualClock]:
    """Stop the wall clock."""
    with ManualClock() as manual:
        yield manual


def tick(manual: ManualClock) -> None:
    """Let a millisecond pass."""
    manual.set_wall(manual.now_ms() + 1)


async def all_titles(store: Store, limit: int) -> list[str | None]:
    """Page through the whole list."""
    titles: list[str | None] = []
    cursor = None
    while True:
        page = await store.list(limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        titles += [one.title for one in page.items]
        if (cursor := page.next_cursor) is None:
            return titles


@pytest.mark.asyncio
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20])
async def test_pages_with_equal_times_skip_and_repeat_nothing(
    store: Store, manual: ManualClock, limit: int
) -> None:
    """Twenty conversations of the same millisecond come once each, newest id first."""
    for number in range(20):
        await store.create(title=str(number))
    tick(manual)
    await store.create(title="newest")
    titles = await all_titles(store, limit)
    assert titles == ["newest", *map(str, reversed(range(20)))]


@pytest.mark.asyncio
async def test_what_is_made_between_two_pages_moves_none_of_the_rest(
    store: Store, manual: ManualClock
) -> None:
    """A new conversation between two pages is on neither, and nothing else is skipped."""
    for number in range(6):
        tick(manual)
        await store.create(title=str(number))
    first = await store.list(limit=3)
    tick(manual)
    await store.create(title="in between")
    second = await store.list(limit=3, cursor=first.next_cursor)
    assert [one.title for one in first.items + second.items] == ["5", "4", "3", "2", "1", "0"]
    assert second.next_cursor is None


@pytest.mark.asyncio
async def test_activity_moves_up_and_a_clock_set_back_moves_nothing_down(
    store: Store, manual: ManualClock
) -> None:
    """The list follows the newest activity, and its time never goes down."""
    old = await store.create(title="old")
    tick(manual)
    await store.create(title="new")
    tick(manual)
    await old.append(Message.user("hello"))
    was = (await store.find("@")).updated_at_ms
    manual.set_wall(manual.now_ms() - 3_600_000)
    await old.append(Message.user("again"))
    assert [one.title for one in (await store.list()).items] == ["old", "new"]
    assert (await store.find("@")).updated_at_ms >= was


def cursor_of(value: object) -> str:
    """Make a cursor of any value, as ours are made."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "cursor",
    ["", "x", "====", "Wz", "é", "\udce9", "A" * 100_000, "x\n"]
    + [cursor_of(one) for one in (None, [], [0, 1], [0, "1", "x"], ["0", 1, "x"], [0, 1, 2])]
    + [cursor_of([0, 2**63, "x"]), cursor_of([-(2**70), 1, "x"]), cursor_of([0.5, 1, "x"])],
)
async def test_a_cursor_that_is_none_of_ours_is_refused(store: Store, cursor: str) -> None:
    """Any tampered cursor gives the one typed error, and never the database's own."""
    await store.create()
    with pytest.raises(FormatError):
        await store.list(cursor=cursor)


@pytest.mark.asyncio
@pytest.mark.parametrize(("limit", "found"), [(-1, 1), (0, 1), (1, 1), (3, 3), (10**30, 4)])
async def test_a_limit_outside_of_the_range_is_brought_into_it(
    store: Store, limit: int, found: int
) -> None:
    """A page has between 1 and 200 items, whatever was asked for."""
    for _ in range(4):
        await store.create()
    assert len((await store.list(limit=limit)).items) == found


def plan(database: SqliteDatabase, hot: Hot) -> list[str]:
    """Return how SQLite would run a statement."""
    sql, _ = hot.on(database._dialect)
    with closing(sqlite3.connect(database.path)) as connection:
        rows = connection.execute("EXPLAIN QUERY PLAN " + sql, [None] * sql.count("?")).fetchall()
    return [str(row[3]) for row in rows]


PLANNED = pytest.mark.only(
    "sqlite", reason="a server plans by its statistics, and here it has none"
)
SERVED: dict[str, tuple[Any, str]] = {
    "the list": (listing._PAGE, "conversation_list"),
    "the next page": (listing._NEXT_PAGE, "conversation_list"),
    "the archive's page": (listing._within(2, (), titled=False), "conversation_archive"),
    "what the archive offers": (listing._ARCHIVE, "conversation_archive"),
    "what the bin offers": (listing._BIN, "conversation_bin"),
    "the end of a span": (listing._END[1], "conversation_list"),
    "the bin's page": (listing._within(3, (), titled=False), "conversation_bin"),
    "what went to the bin last": (lookup._NTH_BINNED, "conversation_bin"),
    "a span": (listing._within(0, ("tag 0", "folder"), titled=True), "conversation_list"),
    "a tag": (filters._TAGGED, "tag_name"),
    "a folder": (filters._CANDIDATES["folder"], "conversation_folder"),
    "what was interrupted": (filters._CANDIDATES["interrupted"], "conversation_interrupted"),
    "a key's beginning": (filters._CANDIDATES["key"], "conversation_key"),
    "a few conversations": (
        listing._among(("tag 0", "tag 1", "since"), deleted=False),
        "autoindex_conversation_1 (owner_id=? AND id=?)",
    ),
    "records": (listing._RECORDS, "autoindex_conversation_1 (owner_id=? AND id=?)"),
    "how several are listed": (
        ordering._SEVERAL,
        "autoindex_conversation_1 (owner_id=? AND id=?)",
    ),
    "a handle": (lookup._BY_HANDLE, "conversation_handle"),
    "a key": (lookup._BY_KEY, "conversation_key"),
    "a conversation": (lookup._BY_ID, "autoindex_conversation"),
    "a history": (reads._UP_TO, "autoindex_message"),
    "a part of a history": (reads.BETWEEN, "autoindex_message"),
    "answers": (reads._CHILDREN, "autoindex_message"),
    "running replies": (reads._RUNNING, "message_running"),
    "where conversations branch": (search_reads.BRANCHED, "message_branching"),
    "how a conversation stands": (standing._ONE, "message_running"),
    "how several conversations stand": (
        standing._SEVERAL,
        "autoindex_conversation_1 (owner_id=? AND id=?)",
    ),
    "a message's place": (reads._SEQ_OF, "message_id"),
    "dossiers": (dossiers._DOSSIERS, "usage_message"),
    "messages of several": (
        reads._OF_SEVERAL,
        "autoindex_message_1 (owner_id=? AND conversation_id=?",
    ),
    "messages by a list of ids": (appends._BY_ID, "message_id (owner_id=? AND id=?)"),
    "a list of idempotency keys": (
        turns._BY_KEY,
        "message_once (owner_id=? AND idempotency_key=?)",
    ),
    "a list of keys": (conversations.BY_KEY, "conversation_key (owner_id=? AND key=?)"),
    "a list of replies": (
        replies._REPLIES,
        "autoindex_message_1 (owner_id=? AND conversation_id=? AND seq=?)",
    ),
    "a list of writers": (
        journal._WRITERS,
        "autoindex_message_1 (owner_id=? AND conversation_id=? AND seq=?)",
    ),
}


@PLANNED
@pytest.mark.asyncio
@pytest.mark.parametrize("name", SERVED)
async def test_an_index_serves_each_read(database: SqliteDatabase, name: str) -> None:
    """No read walks a whole table or sorts what an index has in order."""
    hot, index = SERVED[name]
    steps = plan(database, hot)
    assert any(index in step for step in steps), steps
    assert not [step for step in steps if _walks(step)], steps


@PLANNED
@pytest.mark.asyncio
async def test_the_nth_newest_is_merged_from_three_index_ranges(database: SqliteDatabase) -> None:
    """`@n` reads n entries of each range, already in order, and sorts no more than those."""
    steps = plan(database, lookup._NTH)
    searches = [step for step in steps if step.startswith("SEARCH")]
    assert len(searches) == 3
    assert all("conversation_list" in one or "conversation_archive" in one for one in searches)
    assert not [step for step in steps if step.startswith("SCAN conversation")], steps


def _walks(step: str) -> bool:
    """Tell whether a step reads a whole table, or sorts; a list given with the call is no table."""
    given = "json_each" in step or step.startswith("SCAN given VIRTUAL")
    return (step.startswith("SCAN") and not given) or "TEMP B-TREE" in step
