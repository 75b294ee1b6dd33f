"""The search index: derived from the messages, always whole or marked, made again at any time."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import convostore
from convostore import Message
from convostore.parts import ReasoningPart, TextPart
from convostore.query import parse
from convostore.storage import search_index
from convostore.storage.endings import finish_turns
from convostore.storage.exchanges import BeginTurn, FinishTurn, NewMessage
from convostore.storage.journal import DeadReply, interrupt_replies
from convostore.storage.matching import OnFile, OnServer
from convostore.storage.search_index import NextSlice, next_slices
from convostore.storage.search_shelf import take_out, vector
from convostore.storage.search_tables import FULL_TEXT
from convostore.storage.turns import begin_turns
from tests.engines import change, dsn, rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from convostore import Conversation, Store
    from convostore.storage.database import Database
    from convostore.storage.statements import Tx
    from tests.engines import Where
    from tests.postgres_server import PostgresServer

PLACES = "SELECT conversation_id, seq FROM message_search ORDER BY conversation_id, seq"
MARKS = "SELECT conversation_id, seq FROM search_pending ORDER BY conversation_id, seq"
GONE = "token|boot|namespace|1|1|0"  # the lease of a writer that is long dead


@pytest_asyncio.fixture
async def store(path: Where, index_at_rest: None) -> AsyncIterator[Store]:
    """Open a new store whose writer leaves the index to the test."""
    async with convostore.open(path) as opened:
        yield opened


def at(chat: Conversation) -> tuple[Database, str, str]:
    """Return where a conversation's rows are."""
    return chat._place.database, chat._place.owner_id, chat.id


async def slices(database: Database, **how: Any) -> int:
    """Index all that is marked, in slices; return how many there were."""
    count, job = 0, NextSlice(**how)
    while True:
        part = await database.write(next_slices, "", job)
        count += 1
        if not part.more:
            return count
        job = NextSlice(after=part.after, **how)


async def remarks(store: Store) -> list[str]:
    """Return what a check says of the index."""
    report = await store.check(deep=True)
    assert report.problems == ()
    return [line for line in report.remarks if "search index" in line]


@pytest.mark.asyncio
async def test_each_write_leaves_one_mark_and_indexing_takes_it_away(
    store: Store, path: Where
) -> None:
    """A mark stands for all that its write has stored; afterwards all of it is indexed, once."""
    chat = await store.create(title="Kyoto", system="be kind")
    await chat.append(Message.user("a"), Message.assistant("b"), Message.user("c"))
    assert [seq for _, seq in rows(path, MARKS)] == [0, 1, 2]
    assert rows(path, PLACES) == []
    await slices(at(chat)[0])
    assert rows(path, MARKS) == []
    assert [seq for _, seq in rows(path, PLACES)] == [0, 1, 2, 3, 4]
    await slices(at(chat)[0])
    assert len(rows(path, PLACES)) == 5
    assert await remarks(store) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("most", [1, 2, 3, 200])
async def test_slices_of_any_size_index_everything_once(
    store: Store, path: Where, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long conversations and many short ones, of two owners, cut anywhere."""
    monkeypatch.setattr(search_index, "_CHARACTERS", 30 / most)
    for owner in ("alice", "bob"):
        for length in (1, 7, 3):
            chat = await store.for_owner(owner).create(title=f"talk {length}")
            await chat.append(*(Message.user("ten letters" * 2) for _ in range(length)))
    await slices(at(chat)[0], most=most)
    assert rows(path, MARKS) == []
    assert rows(path, "SELECT count(*) FROM message_search") == [(28,)]
    assert await remarks(store) == []


async def begun(chat: Conversation, question: str) -> int:
    """Let a turn begin whose writer is dead at once; return its reply's number."""
    database, owner_id, id_ = at(chat)
    done = await database.write(
        begin_turns,
        owner_id,
        BeginTurn(
            conversation_id=id_,
            head_seq=None,
            on_moved="follow",
            one_at_a_time=False,
            user=NewMessage(id=f"u-{question}", role="user", text=question),
            reply=NewMessage(
                id=f"r-{question}", role="assistant", text="", status="streaming", lease=GONE
            ),
            now_ms=1,
        ),
    )
    return int(done.reply_seq)


async def ended(chat: Conversation, seq: int, text: str) -> None:
    """Let a reply end, by its own writer."""
    database, owner_id, id_ = at(chat)
    end = FinishTurn(
        conversation_id=id_,
        message_seq=seq,
        token="token",
        spare_id=f"spare-{text}",
        call_id=f"call-{text}",
        status="completed",
        text=text,
        shape=None,
        now_ms=2,
    )
    await database.write(finish_turns, owner_id, end)


@pytest.mark.asyncio
async def test_mark_of_a_running_reply_stays_until_it_has_ended(store: Store, path: Where) -> None:
    """The question is indexed meanwhile, and what others add; the mark stands for the reply."""
    chat = await store.create()
    reply = await begun(chat, "zebra")
    await slices(at(chat)[0])
    assert [seq for _, seq in rows(path, PLACES)] == [1]
    assert [seq for _, seq in rows(path, MARKS)] == [1]
    await ended(chat, reply, "elephant")
    await slices(at(chat)[0])
    assert [seq for _, seq in rows(path, PLACES)] == [1, 2]
    assert rows(path, MARKS) == []


@pytest.mark.asyncio
async def test_many_running_replies_do_not_keep_others_from_being_indexed(
    store: Store, path: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Marks that have to stay are passed over, and each slice goes on behind the one before."""
    monkeypatch.setattr(search_index, "_MARKS", 2)
    for number in range(6):
        await begun(await store.create(), f"question {number}")
    chat = await store.create()
    await chat.append(Message.user("zebra"))
    hits = (await store.search("zebra")).items
    assert [hit.conversation_id for hit in hits] == [chat.id]


@pytest.mark.asyncio
async def test_late_end_of_an_interrupted_reply_changes_what_is_found(
    store: Store, path: Where
) -> None:
    """The words it had so far go out in the same transaction; what it came to is found."""
    chat = await store.create()
    reply = await begun(chat, "zebra")
    database, owner_id, id_ = at(chat)
    change(
        path,
        "INSERT INTO journal (owner_id, conversation_id, message_seq, seq, kind, text)"
        " VALUES (?, ?, ?, 0, 'text', 'half an oldword')",
        *(owner_id, id_, reply),
    )
    dead = DeadReply(conversation_id=id_, message_seq=reply, now_ms=10**13)
    assert await database.write(interrupt_replies, owner_id, dead)
    await slices(database)
    assert [hit.seq for hit in (await store.search("oldword")).items] == [reply]
    await ended(chat, reply, "a whole newword")
    assert [(id_, reply)] == rows(path, MARKS)
    assert (await store.search("oldword")).items == ()
    assert [hit.seq for hit in (await store.search("newword")).items] == [reply]
    assert "oldword" not in words(path)
    assert await remarks(store) == []


def words(path: Where) -> list[str]:
    """Return every word of the index."""
    if isinstance(path, str):
        sql = "SELECT DISTINCT unnest(tsvector_to_array(words)) FROM message_search"
        return [word for (word,) in rows(path, sql)]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE VIRTUAL TABLE temp.seen USING fts5vocab(main, message_words, row)"
        )
        return [word for (word,) in connection.execute("SELECT term FROM temp.seen")]


@pytest.mark.asyncio
async def test_what_is_taken_out_leaves_no_word_behind(store: Store, path: Where) -> None:
    """Every text can be taken out before it goes: whole words, stems, parts, titles, thoughts."""
    chat = await store.create(title="canarytitles in Кананариевы")
    await chat.append(
        Message.user("canarywords canaryCamelCase canary_snake канарейками 金丝雀 카나리아"),
        Message.assistant(
            "spoken canaries",
            parts=(ReasoningPart("canarythought"), TextPart("spoken canaries")),
        ),
        Message.user("what stays"),
    )
    database, owner_id, id_ = at(chat)
    await slices(database)
    assert len(words(path)) > 20

    def forget(tx: Tx, owner: str, jobs: Sequence[object]) -> list[None]:
        take_out(tx, owner, [(id_, 0), (id_, 1), (id_, 2), (id_, 99), ("none", 1)])
        return [None] * len(jobs)

    await database.write(forget, owner_id, None)
    assert rows(path, PLACES) == [(id_, 3)]
    left = {word.strip("=") for word in words(path)}
    assert left == {"what", "stay", "stays", owner_id, "·"} - (
        {"·"} if isinstance(path, str) else set()
    )
    await database.write(forget, owner_id, None)
    assert [hit.seq for hit in (await store.search("stays")).items] == [3]


@pytest.mark.asyncio
async def test_index_of_other_words_is_made_again(store: Store, path: Where) -> None:
    """Where the words were made by another version nothing in the index is of use, nor removable."""
    chat = await store.create(title="Kyoto")
    await chat.append(Message.user("about zebras"))
    await slices(at(chat)[0])
    for _ in range(2):
        change(path, "UPDATE store_meta SET value = '0-old' WHERE name = 'search_words'")
        change(path, "UPDATE message_search SET seq = 7 WHERE seq = 1")
        assert [hit.seq for hit in (await store.search("zebras")).items] == [1]
        assert rows(path, "SELECT count(*) FROM message_search") == [(2,)]
    change(path, "UPDATE store_meta SET value = '0-old' WHERE name = 'search_words'")
    await chat.rename("Osaka")
    if not isinstance(path, str):  # there a text can only be taken out by the words that put it in
        assert rows(path, PLACES) == []
    assert {hit.seq for hit in (await store.search("osaka")).items} == {0}
    assert (await store.search("kyoto")).items == ()
    assert await remarks(store) == []


@pytest.mark.asyncio
async def test_reindex_makes_everything_again(store: Store, path: Where) -> None:
    """Whatever became of the index, of all owners; it says how much is in it."""
    for owner in ("alice", "bob"):
        chat = await store.for_owner(owner).create(title="zebra")
        await chat.append(Message.user("about zebras"), Message.assistant("yes"))
    await slices(at(chat)[0])
    change(path, "DELETE FROM message_search WHERE seq = 1")
    change(path, "UPDATE message_search SET seq = 77 WHERE seq = 2")
    assert await remarks(store) != []
    assert await store.reindex() == 6
    assert await remarks(store) == []
    assert len((await store.for_owner("alice").search("zebra")).items) == 2
    assert rows(path, MARKS) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM message_search WHERE seq = 1",
        "DELETE FROM message_search WHERE seq = 0",
        "UPDATE message_search SET seq = 77 WHERE seq = 1",
    ],
)
async def test_check_compares_the_index_with_the_messages(
    store: Store, path: Where, damage: str
) -> None:
    """What is missing, and what is too much, is a remark with the command that mends it."""
    chat = await store.create(title="Kyoto")
    await chat.append(Message.user("about zebras"))
    assert await remarks(store) == []
    await slices(at(chat)[0])
    assert await remarks(store) == []
    change(path, damage)
    (remark,) = await remarks(store)
    assert "convostore db reindex" in remark


@pytest.mark.asyncio
async def test_two_stores_that_index_at_once_do_it_once(path: Where) -> None:
    """Two writers of one store, and searches in both: every message is indexed, none twice."""
    async with convostore.open(path) as one, convostore.open(path) as other:
        await one.create()

        async def talk(store: Store, number: int) -> None:
            chat = await store.create(title=f"talk {number}")
            for turn in range(6):
                await chat.append(Message.user(f"zebra {number} {turn}"), Message.assistant("yes"))
                await store.search(f"zebra {number}")

        await asyncio.gather(*(talk((one, other)[number % 2], number) for number in range(8)))
        for store in (one, other):
            assert len((await store.search("zebra", limit=200)).items) == 48
        assert await remarks(one) == []
    assert rows(path, "SELECT count(*) FROM message_search") == [(8 * 13,)]
    assert rows(path, MARKS) == []
    if not isinstance(path, str):
        sql = "SELECT count(*) FROM message_words_docsize"
        assert rows(path, sql) == [(8 * 13,)]


@pytest.mark.asyncio
async def test_writer_indexes_by_itself_when_it_is_idle(path: Where) -> None:
    """Without any search, and without another write, what was stored is soon in the index."""
    async with convostore.open(path) as store:
        chat = await store.create(title="Kyoto")
        await chat.append(Message.user("zebra"))
        for _ in range(200):
            if not rows(path, MARKS):
                break
            await asyncio.sleep(0.05)
        assert [seq for _, seq in rows(path, PLACES)] == [0, 1]


@pytest.mark.only("sqlite", reason="a server's store is not closed before it is read")
@pytest.mark.asyncio
async def test_closed_store_has_nothing_left_to_index(path: Where) -> None:
    """What a short run of the program has stored is indexed when it ends: the next search is quick."""
    async with convostore.open(path) as store:
        chat = await store.create(title="Kyoto")
        await chat.append(Message.user("zebra"))
    assert rows(path, MARKS) == []
    assert [seq for _, seq in rows(path, PLACES)] == [0, 1]


@pytest.fixture(scope="module")
def full_text() -> Iterator[sqlite3.Connection]:
    """Give a full-text table like the store's."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(FULL_TEXT)
        yield connection


ODD = st.text(alphabet=st.sampled_from("ab学е\"'*-:()^{}|&!<>\\~=· \x00\ud800_9A"), max_size=40)


@given(st.one_of(st.text(max_size=80), ODD), st.booleans())
def test_every_query_is_one_that_sqlite_takes(
    full_text: sqlite3.Connection, typed: str, reasoning: bool
) -> None:
    """Nothing that was typed reaches MATCH but as quoted words."""
    match = OnFile.values(parse(typed, 0), "owner", reasoning=reasoning)["match"]
    full_text.execute("SELECT count(*) FROM message_words WHERE message_words MATCH ?", (match,))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=80), ODD), st.booleans())
def test_every_query_is_one_that_postgresql_takes(
    server: psycopg.Connection[Any], typed: str, reasoning: bool
) -> None:
    """The same, as a tsquery; and every text is a vector."""
    for text in OnServer.values(parse(typed, 0), "owner", reasoning=reasoning).values():
        server.execute("SELECT CAST(%s AS TSQUERY)", (text,))
    server.execute("SELECT CAST(%s AS TSVECTOR)", (vector("owner", typed, typed),))


@pytest.fixture(scope="module")
def server(postgres: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to a PostgreSQL server."""
    name = postgres.make()
    with psycopg.connect(dsn(postgres.of(name)), autocommit=True) as connection:
        yield connection
    postgres.drop(name)


def test_vector_says_where_each_word_stands() -> None:
    """Text and thoughts apart, whole words without a place, the owner's own word."""
    made = vector("me", "big databases", "thought")
    assert made == "'=me' 'big':2 'databas':3 'databases' '~thought':5"


def test_vector_stays_within_what_a_server_takes() -> None:
    """Positions end, and so do the words of a text without end."""
    made = vector("me", " ".join(f"w{number:x}" for number in range(300_000)), "")
    assert len(made.encode()) < 2_000_000
    assert ":16384" not in made
