"""Deleted means gone: no word of what was removed is in any byte of the store's files."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

import convostore
from convostore import Message
from convostore.errors import ConversationBusyError, StoreBusyError
from convostore.records import Filter
from convostore.storage.scrub_note import NOTE, REMARK
from convostore.testing import ManualClock, ScriptedProvider
from tests import canaries
from tests.engines import change, connect, held, rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from convostore import Store
    from tests.engines import Where
    from tests.postgres_server import OwnServer


@pytest.fixture
def where(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Where]:
    """Name a place for a store whose files can be looked into."""
    if engine == "sqlite":
        yield tmp_path / "chats.db"
        return
    server: OwnServer = request.getfixturevalue("fragile_postgres")
    if not server.is_running:
        server.start()
    name = server.make()
    yield server.of(name)
    server.drop(name)


@pytest.fixture
def provider() -> ScriptedProvider:
    """Give a provider that plays what the test writes."""
    return ScriptedProvider()


@pytest_asyncio.fixture
async def store(where: Where, provider: ScriptedProvider) -> AsyncIterator[Store]:
    """Open a new store with some conversations that stay."""
    async with convostore.open(where, provider=provider) as opened:
        for number in range(5):
            chat = await opened.create(title=f"stays {number}")
            pairs = [Message.user(f"keep {number} {at} " + "ballast " * 90) for at in range(20)]
            await chat.append(*pairs)
        yield opened


@contextmanager
def read_without_end(where: Where) -> Iterator[None]:
    """Read as a program that does not end its transaction."""
    with connect(where) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM conversation").fetchall()
        yield
        connection.execute("ROLLBACK")


@asynccontextmanager
async def held_aside(where: Where) -> AsyncIterator[None]:
    """Hold the store, a server's from a thread: what this loop is just indexing there ends first."""
    if isinstance(where, Path):
        with held(where):
            yield
        return
    holding = held(where)
    await asyncio.to_thread(holding.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(holding.__exit__, None, None, None)


def is_owed(where: Where) -> bool:
    """Tell whether the note is there."""
    return bool(rows(where, "SELECT value FROM store_meta WHERE name = ?", NOTE))


@pytest.mark.asyncio
async def test_no_word_of_a_purged_conversation_is_in_any_byte(
    store: Store, provider: ScriptedProvider, where: Where
) -> None:
    """Title, texts, reasoning, journal, tag, key, settings, index, samples, log: all of it goes."""
    chat = await canaries.spread(store, provider)
    async with canaries.running_reply(chat, provider, where):
        if isinstance(where, str):
            change(where, "ANALYZE")  # the planner's samples have titles and tags
        assert canaries.found(where) == set(canaries.PLACES)
        with pytest.raises(ConversationBusyError, match="is still being written"):
            await chat.purge()
        canaries.strand(where)
        await store.delete(chat.id)
        report = await store.purge(chat.handle, scrub=True)
    assert (report.found, report.changed, report.messages) == (1, 1, 7)
    assert canaries.found(where) == set()
    assert not is_owed(where)
    assert (await store.check(deep=True)).problems == ()
    assert len((await store.search("keep", limit=200)).items) == 100


@pytest.mark.asyncio
async def test_no_word_of_a_summary_of_what_was_forgotten_is_in_any_byte(
    store: Store, provider: ScriptedProvider, where: Where
) -> None:
    """It told what the message said, in other words."""
    chat = await store.create(title="stays")
    await chat.append(Message.user("plum"), Message.assistant("a"))
    await chat.append(Message.user("q"), Message.assistant("b"))
    provider.answer(canaries.word("answer"))
    await chat.compact(keep_turns=1)
    assert canaries.found(where) == {"answer"}
    await chat.forget(1, scrub=True)
    assert canaries.found(where) == set()


@pytest.mark.asyncio
async def test_no_word_of_a_removed_branch_is_in_any_byte(store: Store, where: Where) -> None:
    """The same of messages that go alone; the conversation around them stays."""
    chat = await store.create(title="stays too")
    await chat.append(Message.user("q"), Message.assistant("a"))
    texts = (f"about {canaries.word('question')}", f"saying {canaries.word('answer')}")
    await chat.append(Message.user(texts[0]), Message.assistant(texts[1]))
    await store.search("saying")
    assert canaries.found(where) == {"question", "answer"}
    assert await chat.delete_branch(3, scrub=True) == 2
    assert canaries.found(where) == set()
    assert [one.text for one in await chat.history()] == ["q", "a"]
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_no_word_of_a_forgotten_message_is_in_any_byte(
    store: Store, provider: ScriptedProvider, where: Where
) -> None:
    """Of the messages emptied one by one all goes but the key of their exchange."""
    chat = await canaries.spread(store, provider)
    for seq in range(1, 6):
        assert await chat.forget(seq, scrub=seq == 5)
    messages = {"system", "question", "answer", "reasoning", "author", "error", "partial"}
    gone = {*messages, "remote", "attached", "filename"}
    assert canaries.found(where) == set(canaries.PLACES) - gone - {"journal"}
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
@pytest.mark.parametrize("alone", [True, False])
async def test_no_word_of_a_forgotten_person_is_in_any_byte(
    store: Store, provider: ScriptedProvider, where: Where, alone: bool
) -> None:
    """Of a room of their own nothing is left; of a shared one, what is not theirs."""
    chat = await canaries.spread(store, provider)
    theirs = "UPDATE message SET author_id = 'ann' WHERE role = 'user' AND conversation_id = ?"
    change(where, theirs, chat.id)
    if not alone:
        await chat.append(Message.user("and I?", author="Bob"))
    report = await store.forget(user="ann", scrub=True)
    assert (report.busy, report.conversations) == (0, int(alone))
    kept = {"title", "key", "system", "settings", "metadata", "tag", "folder"}
    assert canaries.found(where) == (set() if alone else kept)
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.only("sqlite", reason="on a server nothing is scrubbed unasked")
@pytest.mark.asyncio
async def test_no_word_of_what_expired_is_in_a_small_file(
    store: Store, provider: ScriptedProvider, where: Where
) -> None:
    """Whoever comes by removes it to the last byte; where a reader stands in the way, later."""
    with ManualClock() as clock:
        for attempt in ("read meanwhile", "alone"):
            chat = await canaries.spread(store, provider)
            await chat.expire(clock.now_ms() + 1000)
            clock.set_wall(clock.now_ms() + 1000)
            with read_without_end(where) if attempt == "read meanwhile" else nullcontext():
                async with convostore.open(where) as other:
                    assert (await other.resume("@")).record.title == "stays 4"
            assert is_owed(where) is (attempt == "read meanwhile")
            assert bool(canaries.found(where)) is (attempt == "read meanwhile")


@pytest.mark.asyncio
async def test_reader_in_the_way_is_told_of_and_the_rest_is_done_later(
    store: Store, provider: ScriptedProvider, where: Where
) -> None:
    """What was purged is out of reach at once; the error says what to close, and what to type."""
    chat = await canaries.spread(store, provider)
    await chat.delete()
    async with convostore.open(where, busy_timeout_s=0.3) as hasty:
        with read_without_end(where):
            with pytest.raises(StoreBusyError, match="out of reach, but traces") as caught:
                await hasty.purge(Filter(), scrub=True)
            assert caught.value.hint.endswith("convostore db scrub")
            assert await store.matching(deleted=True) == ()
            assert is_owed(where)
            assert REMARK in (await store.check()).remarks
            if isinstance(where, Path):
                assert canaries.found(where)
        report = await hasty.scrub()
        assert (report.was_owed, report.remarks) == (True, ())
        assert canaries.found(where) == set()
        assert not (await hasty.scrub()).was_owed
        assert REMARK not in (await store.check()).remarks


@pytest.mark.only(
    "postgres", "psycopg", reason="a file keeps nothing for transactions that are over"
)
@pytest.mark.asyncio
async def test_transaction_that_may_still_see_what_went_stands_in_the_way(where: Where) -> None:
    """Though it holds no table: what it may see is written along, and would be left for ever."""
    async with convostore.open(where, busy_timeout_s=0.5) as store:
        chat = await store.create(title=canaries.word("title"))
        with connect(where) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SELECT count(*) FROM pg_class").fetchall()
            await chat.purge()
            with pytest.raises(StoreBusyError, match="or a transaction, all the time"):
                await store.scrub()
            assert is_owed(where)
            connection.execute("ROLLBACK")
        assert (await store.scrub()).was_owed
    assert canaries.found(where) == set()


@pytest.mark.only("postgres", reason="a file has no transactions that outlive their program")
@pytest.mark.asyncio
async def test_prepared_transaction_in_the_way_is_named(where: Where) -> None:
    """It has no session, holds no table, and still sees what went."""
    async with convostore.open(where, busy_timeout_s=0.3) as store:
        chat = await store.create(title=canaries.word("title"))
        with connect(where) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM pg_class").fetchall()
            connection.execute("PREPARE TRANSACTION 'left over'")
        await chat.purge()
        with pytest.raises(StoreBusyError, match="prepared transaction 'left over' has") as caught:
            await store.scrub()
        assert "ROLLBACK PREPARED" in caught.value.hint
        assert is_owed(where)
        change(where, "ROLLBACK PREPARED 'left over'")
        assert (await store.scrub()).was_owed
    assert canaries.found(where) == set()


@pytest.mark.asyncio
async def test_writer_in_the_way_is_told_of_as_well(store: Store, where: Where) -> None:
    """A program that holds the store is named as the reason, and nothing is half done."""
    await (await store.create(title=canaries.word("title"))).purge(scrub=False)
    async with convostore.open(where, busy_timeout_s=0.3) as hasty:
        async with held_aside(where):
            with pytest.raises(StoreBusyError, match="out of reach, but traces") as caught:
                await hasty.scrub()
        assert caught.value.hint.endswith("convostore db scrub")
        assert is_owed(where)
        assert (await hasty.scrub()).was_owed
    assert canaries.found(where) == set()


@pytest.mark.asyncio
async def test_removal_during_a_scrub_is_owed_after_it(store: Store, where: Where) -> None:
    """The note is taken away only as it was read: what was removed meanwhile is not forgotten."""
    first, second = [await store.create(title=canaries.word(one)) for one in ("title", "tag")]
    await first.purge(scrub=False)
    (noted,) = rows(where, "SELECT value FROM store_meta WHERE name = ?", NOTE)
    await second.purge(scrub=False)
    assert rows(where, "SELECT value FROM store_meta WHERE name = ?", NOTE) != [noted]
    await store.scrub()
    assert canaries.found(where) == set()


@pytest.mark.only("postgres", reason="it is about who may do what on a server")
@pytest.mark.asyncio
async def test_what_only_the_operator_may_do_is_said(
    store: Store, where: Where, fragile_postgres: OwnServer
) -> None:
    """Whoever owns the tables alone is told what is left: the samples, and the checkpoint."""
    ((name,),) = rows(where, "SELECT current_database()")
    role = f"tables_of_{name}"
    change(where, f"CREATE ROLE {role} LOGIN")
    for (table,) in rows(where, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        change(where, f"ALTER TABLE {table} OWNER TO {role}")
    await (await store.create(title=canaries.word("title"))).purge()
    async with convostore.open(fragile_postgres.of(name, role=role)) as other:
        report = await other.scrub()
    assert [line.partition(":")[0] for line in report.remarks] == [
        "only the database's owner can write the planner's samples anew",
        "the old files go with the server's next checkpoint, within minutes",
    ]
    assert canaries.found(where) == set()
