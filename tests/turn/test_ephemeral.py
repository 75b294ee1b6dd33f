"""Ephemeral conversations: nothing of them is in any file until they are kept, and then all is."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pytest_asyncio
from watching import cancelled_at  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore import Message
from convostore.errors import (
    AttachmentNotFoundError,
    ConversationBusyError,
    ConversationNotFoundError,
    DuplicateKeyError,
    StoreBusyError,
    StoreClosedError,
    StoreFullError,
)
from convostore.events import Finished
from convostore.parts import AttachmentPart
from convostore.records import Usage
from convostore.storage.keeping import Records, TakeRecords, take_records
from convostore.testing import ScriptedProvider, Silence
from tests import canaries
from tests.engines import held, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watching import Watch

    from convostore import Conversation, Store
    from convostore.storage.statements import Tx
    from tests.engines import Where

TABLES = (
    *("conversation", "message", "tag", "usage", "remote_thread", "message_attachment"),
    *("attachment", "attachment_chunk", "journal", "search_pending", "message_search", "owner"),
)


@pytest_asyncio.fixture
async def chat(store: Store) -> Conversation:
    """Give an ephemeral conversation."""
    return await store.create(model="scripted-1", ephemeral=True)


def open_files() -> set[str]:
    """Return what this process has open that is in a file, or was in one that has lost its name."""
    links = set()
    for one in Path("/proc/self/fd").iterdir():
        try:
            links.add(str(one.readlink()))
        except OSError:
            continue  # it was the listing's own
    return {link for link in links if link.startswith("/") and not link.startswith("/dev/")}


def words_in(folder: Path) -> set[str]:
    """Return the places whose words are in any file below *folder*."""
    files = [one for one in folder.rglob("*") if one.is_file()]
    hay = b"\0".join(one.read_bytes().lower() for one in files)
    return {place for place in canaries.PLACES if canaries.word(place).encode() in hay}


async def filled(store: Store, provider: ScriptedProvider) -> Conversation:
    """Return an ephemeral conversation with something of every kind in it."""
    chat = await canaries.spread(store, provider, ephemeral=True)
    provider.script("counted", Finished(usage=Usage(input_tokens=7, output_tokens=2)))
    async with chat.regenerate() as turn:
        await turn.drain()
    return chat


async def everything(chat: Conversation) -> dict[str, Any]:
    """Return all records of a conversation, wherever it stands, but for its owner and handle."""
    place = chat._place
    job = TakeRecords(conversation_id=chat.id)
    records: Records = await place.database.write(take_records, place.owner_id, job)
    rows = msgspec.to_builtins(records)
    for row in (rows["conversation"], *rows["messages"], *rows["tags"], *rows["calls"]):
        assert row.pop("owner_id") == place.owner_id
    for row in rows["threads"]:
        assert row.pop("owner_id") == place.owner_id
    assert rows["conversation"].pop("handle") == chat.handle
    return {"rows": rows, "messages": await chat.messages(), "parent_id": chat.parent_id}


@pytest.mark.asyncio
async def test_no_word_of_it_is_in_any_file_while_it_runs_and_afterwards(
    path: Where, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the store, nor in a temporary file, nor in one without a name; no file is opened."""
    for name in ("TMPDIR", "SQLITE_TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    provider = ScriptedProvider()
    before = open_files()
    async with convostore.open(path, provider=provider) as store:
        await store.list()
        opened = open_files()
        chat = await filled(store, provider)
        provider.script(f"saying {canaries.word('journal')}", Silence())
        async with chat.stream("go on") as turn:
            await anext(turn)
            await asyncio.sleep(0.5)  # real time: the journal is written every 200 ms
            assert words_in(tmp_path) == set()
            assert open_files() <= opened | {f"{path}-lock", f"{path}-wal", f"{path}-shm"}
        big = [Message.user(f"{number} " + "ballast " * 500) for number in range(1_000)]
        await chat.append(*big)
        assert len((await chat.tree()).branches()) == 2
        assert words_in(tmp_path) == set()
        assert rows(path, "SELECT count(*) FROM message") == [(0,)]
        if not isinstance(path, Path):
            assert all(rows(path, f"SELECT * FROM {table}") == [] for table in TABLES)
    assert words_in(tmp_path) == set()
    assert open_files() <= before


@pytest.mark.asyncio
async def test_it_is_reached_by_its_object_alone(store: Store, chat: Conversation) -> None:
    """It has all the verbs, and is in no list, no search, no statistics, and under no name."""
    await chat.append(Message.user("zebra"), Message.assistant("stripes"))
    await chat.rename("Zoo")
    assert chat.ephemeral
    assert [one.text for one in await chat.history()] == ["zebra", "stripes"]
    assert (await store.list()).items == ()
    assert (await store.search("zebra")).items == ()
    for name in (chat.id, chat.handle, "@"):
        with pytest.raises(ConversationNotFoundError):
            await store.resume(name)
    other = await store.create()
    assert not other.ephemeral
    with pytest.raises(ConversationNotFoundError):
        await store.resume(chat.id)


@pytest.mark.asyncio
async def test_all_verbs_work(store: Store, chat: Conversation, provider: ScriptedProvider) -> None:
    """Turns, branches, forks, tags and the bin are what they are on disk."""
    provider.answer("one")
    first = await chat.send("Hi")
    provider.answer("two")
    async with chat.regenerate() as turn:
        second = await turn.drain()
    provider.answer("three")
    async with chat.edit(turn.user.id, "Hello") as turn:
        await turn.drain()
    assert len(await chat.siblings()) == 1
    await chat.switch(second.id)
    assert [one.id for one in await chat.siblings()] == [first.id, second.id]
    fork = await chat.fork()
    assert fork.ephemeral
    assert [one.text for one in await fork.history()] == ["Hi", "two"]
    assert await chat.delete_branch(turn.user.id) == 2
    await chat.tag("blue")
    assert chat.record.tags == ("blue",)
    await chat.delete()
    with pytest.raises(ConversationNotFoundError, match="bin"):
        await chat.keep()
    await chat.undelete()
    assert await chat.purge() == 3
    with pytest.raises(ConversationNotFoundError):
        await chat.keep()
    await fork.keep()
    assert [one.title for one in (await store.list()).items] == ["Hi"]


@pytest.mark.asyncio
async def test_what_is_kept_is_equal_record_by_record(
    store: Store, provider: ScriptedProvider, watch: Watch
) -> None:
    """Messages, ids, branches, times, hashes, tags, usage, remote ids and attachments; all is found."""
    chat = await filled(store, provider)
    before, handle = await everything(chat), chat.handle
    record = await chat.keep()
    assert (chat.ephemeral, record.handle, record) == (False, handle, chat.record)
    assert await everything(chat) == before
    again = await store.resume(handle)
    assert await everything(again) == before
    assert (await store.check(deep=True)).problems == ()
    for place in ("question", "answer"):
        assert [one.handle for one in (await store.search(canaries.word(place))).items] == [handle]
    found = await store.search(canaries.word("title"))
    assert [one.handle for one in found.items] == [handle]
    counts = [watch.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES[:7]]
    assert counts == [1, 6, 1, 2, 1, 1, 1]
    part = next(
        part for one in before["messages"] for part in one.parts if isinstance(part, AttachmentPart)
    )
    content = b"".join([piece async for piece in store.attachment(part)])
    assert content == canaries.word("attached").encode()


@pytest.mark.asyncio
async def test_the_same_object_goes_on_in_the_store(
    store: Store, chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """The next turn is on disk, below what was said before; keeping again changes nothing."""
    await chat.append(Message.user("one"), Message.assistant("two"))
    await chat.keep()
    provider.answer("four")
    await chat.send("three")
    before = watch.messages()
    assert await chat.keep() == chat.record
    assert watch.messages() == before
    assert [text for *_, text in before] == ["one", "two", "three", "four"]
    assert (await store.resume("@")).id == chat.id


@pytest.mark.asyncio
async def test_empty_one_is_kept_too(store: Store, chat: Conversation) -> None:
    """One in which nothing was said yet is kept as it is."""
    await chat.keep()
    assert [one.id for one in (await store.list()).items] == [chat.id]


@pytest.mark.asyncio
async def test_handle_that_is_taken_is_another_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that were given the same handle, each has its own once both are in the store."""
    made = iter(["7k3m9x2q", "7k3m9x2q", "7k3m9x2q", "aaaaaaaa"])
    monkeypatch.setattr("convostore.storage.conversations.new_handle", lambda: next(made))
    chat = await store.create(ephemeral=True)
    other = await store.create()
    assert chat.handle == other.handle
    record = await chat.keep()
    assert (record.handle, chat.handle, other.handle) == ("aaaaaaaa", "aaaaaaaa", "7k3m9x2q")
    assert (await store.resume(record.handle)).id == chat.id


@pytest.mark.asyncio
async def test_key_is_free_until_it_is_kept(store: Store) -> None:
    """A key that is taken meanwhile is refused, and nothing is stored; one in the bin gives way."""
    chat = await store.create(key="room", ephemeral=True)
    await chat.append(Message.user("hi"))
    taken = await store.create(key="room")
    with pytest.raises(DuplicateKeyError, match="room"):
        await chat.keep()
    assert chat.ephemeral
    await chat.append(Message.assistant("still here"))
    assert [one.id for one in (await store.list()).items] == [taken.id]
    await taken.delete()
    await chat.keep()
    assert (await store.get_or_create("room")).id == chat.id


@pytest.mark.asyncio
async def test_message_that_is_there_already_is_refused(store: Store, chat: Conversation) -> None:
    """A message object of the caller's own that is stored elsewhere cannot be kept twice; a fork can."""
    message = Message.user("hi")
    await (await store.create()).append(message)
    await chat.append(message)
    with pytest.raises(DuplicateKeyError, match="already"):
        await chat.keep()
    fork = await chat.fork()
    await fork.keep()
    assert [one.text for one in await fork.history()] == ["hi"]


@pytest.mark.asyncio
async def test_running_reply_is_waited_for_by_the_caller(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """While a reply runs, keeping is refused and harms nothing; afterwards it works."""
    provider.script("half", Silence())
    async with chat.stream("Hi") as turn:
        await anext(turn)
        with pytest.raises(ConversationBusyError, match="running"):
            await chat.keep()
    await chat.keep()
    assert [one.text for one in await chat.history()] == ["Hi", "half"]


@pytest.mark.asyncio
async def test_two_tasks_at_once_lose_nothing(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Both questions and answers are there, before it is kept and after."""
    for _ in range(20):
        provider.answer("yes")
    await asyncio.gather(*(chat.send(f"question {number}", wait_s=20) for number in range(10)))
    before = await chat.messages()
    assert len(before) == 20
    await asyncio.gather(chat.keep(), chat.keep(), *(chat.rename("same") for _ in range(1)))
    assert await chat.messages() == before
    await asyncio.gather(*(chat.send(f"later {number}", wait_s=20) for number in range(10)))
    assert len(await chat.messages()) == 40
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_what_is_said_while_it_is_kept_is_kept_or_refused(
    store: Store, chat: Conversation
) -> None:
    """No append that returned is missing in the store, whenever it came."""
    stored: list[Message] = []

    async def append(number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0)
        with suppress(ConversationBusyError):
            stored.extend(await chat.append(Message.user(f"number {number}")))

    await asyncio.gather(*(append(number) for number in range(40)), chat.keep())
    assert not chat.ephemeral
    assert {one.id for one in await chat.messages()} == {one.id for one in stored}
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
@pytest.mark.only("sqlite", reason="of the store in memory alone")
async def test_what_was_asked_for_before_is_done_before_it_is_copied(
    store: Store, chat: Conversation
) -> None:
    """Also where it waits beside the copying of another one, and would be done after that."""
    other = await store.create(ephemeral=True)
    fleeting, owner_id = chat._place.fleeting, chat._place.owner_id
    assert fleeting is not None
    memory, busy, free = fleeting.memory, threading.Event(), threading.Event()

    def work(*_: object) -> list[None]:
        busy.set()
        assert free.wait(20)
        return [None]

    async def copied() -> Records:
        async with memory.held(chat.id):
            job = TakeRecords(conversation_id=chat.id)
            records: Records = await memory.write(take_records, owner_id, job)
            return records

    await chat.append(Message.user("one"))
    memory.submit(work, "", None)
    while not busy.is_set():
        await asyncio.sleep(0)
    memory.submit(take_records, owner_id, TakeRecords(conversation_id=other.id))
    append = asyncio.create_task(chat.append(Message.user("two")))
    await asyncio.sleep(0)
    copying = asyncio.create_task(copied())
    await asyncio.sleep(0)
    free.set()
    await append
    assert [one["text"] for one in (await copying).messages] == ["one", "two"]


@pytest.mark.asyncio
@pytest.mark.only("sqlite", reason="of the store in memory alone")
async def test_connection_to_memory_is_set_up_as_designed(
    chat: Conversation,
) -> None:
    """It sorts in memory, holds rows to each other, overwrites what goes, and outlives errors."""
    fleeting = chat._place.fleeting
    assert fleeting is not None
    memory, found = fleeting.memory, list[tuple[str, Any]]()

    def look(tx: Tx, _: str, jobs: Sequence[str]) -> list[None]:
        for name in jobs:
            tx.cursor.execute(f"PRAGMA {name}")
            found.append((name, tx.cursor.fetchall()[0][0]))
        return [None for _ in jobs]

    def fail(*_: object) -> list[None]:
        raise OSError(28, "no room")

    for name in ("temp_store", "foreign_keys", "secure_delete", "journal_mode"):
        await memory.write(look, "", name)
    assert found == [
        *(("temp_store", 2), ("foreign_keys", 1), ("secure_delete", 1), ("journal_mode", "memory")),
    ]
    await chat.append(Message.user("hi"))
    with pytest.raises(StoreFullError):
        await memory.write(fail, "", None)
    assert [one.text for one in await chat.history()] == ["hi"]


@pytest.mark.asyncio
@pytest.mark.parametrize("late", [False, True])
async def test_keeping_that_is_cancelled_anywhere_is_done_once(
    store: Store, provider: ScriptedProvider, late: bool
) -> None:
    """At whichever wait the caller goes: said again, it is kept, whole and once."""
    for nth in range(1, 100):
        chat = await store.create(ephemeral=True)
        file = await store.attach(f"file {nth}".encode(), ephemeral=True)
        await chat.append(Message.user("hi", attachments=[file]), Message.assistant("hello"))
        before = await everything(chat)
        reached = await cancelled_at(chat.keep(), nth, late=late)
        await chat.keep()
        assert await everything(chat) == before
        if not reached:
            break
    assert len((await store.list(limit=200)).items) == nth > 1
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_forgotten_message_stays_forgotten(store: Store, chat: Conversation) -> None:
    """It is kept as it stands: empty, where it was."""
    await chat.append(Message.user("my secret"), Message.assistant("hm"))
    await chat.forget(1)
    before = await everything(chat)
    await chat.keep()
    assert await everything(chat) == before
    assert [(one.status, one.text) for one in await chat.history()] == [
        ("erased", ""),
        ("completed", "hm"),
    ]
    assert (await store.search("secret")).items == ()
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_cancelled_keeping_is_done_to_its_end(chat: Conversation, watch: Watch) -> None:
    """Whoever waited is gone; it is kept once, and the object knows."""
    await chat.append(Message.user("hi"))
    task = asyncio.create_task(chat.keep())
    while chat._place.keeping is None:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await chat.keep()
    assert not chat.ephemeral
    assert [text for *_, text in watch.messages()] == ["hi"]


@pytest.mark.asyncio
@pytest.mark.usefixtures("index_at_rest")
async def test_store_that_is_busy_leaves_it_as_it_was(
    path: Where, provider: ScriptedProvider
) -> None:
    """It is refused, nothing is lost, and it is kept once the store is free."""
    async with convostore.open(path, provider=provider, busy_timeout_s=0.3) as store:
        await store.create(title="there")
        chat = await store.create(ephemeral=True)
        await chat.append(Message.user("hi"))
        with held(path), pytest.raises(StoreBusyError):
            await chat.keep()
        assert chat.ephemeral
        await chat.append(Message.assistant("still here"))
        await chat.keep()
        assert len((await store.list()).items) == 2
        assert len(await chat.messages()) == 2


@pytest.mark.asyncio
async def test_attachments_of_the_other_place_are_not_there(
    store: Store, chat: Conversation
) -> None:
    """What was attached to the store is in no ephemeral conversation, and the other way round."""
    here, there = await store.attach(b"disk"), await store.attach(b"memory", ephemeral=True)
    with pytest.raises(AttachmentNotFoundError):
        await chat.append(Message.user("look", attachments=[here]))
    await chat.append(Message.user("look", attachments=[there]))
    assert b"".join([piece async for piece in store.attachment(there)]) == b"memory"
    with pytest.raises(AttachmentNotFoundError):
        await (await store.create()).append(Message.user("look", attachments=[there]))


@pytest.mark.asyncio
async def test_owners_are_apart(store: Store) -> None:
    """What Alice keeps is hers alone."""
    chat = await store.for_owner("alice").create(ephemeral=True, key="mine")
    await store.for_owner("bob").create(ephemeral=True, key="mine")
    await chat.append(Message.user("hi"))
    await chat.keep()
    assert [one.key for one in (await store.for_owner("alice").list()).items] == ["mine"]
    assert (await store.for_owner("bob").list()).items == ()
    assert (await store.list()).items == ()


@pytest.mark.asyncio
async def test_owner_who_was_erased_meanwhile_is_made_anew(store: Store, path: Where) -> None:
    """What is kept after the erasure is the first thing that a new owner of that name has."""
    alice = store.for_owner("alice")
    chat = await alice.create(ephemeral=True)
    file = await alice.attach(b"memory", ephemeral=True)
    await chat.append(Message.user("hi", attachments=[file]))
    await alice.create(title="gone")
    async with convostore.open(path, owner="alice") as other:
        await other.erase_owner()
    await chat.keep()
    assert [one.id for one in (await store.for_owner("alice").list()).items] == [chat.id]
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_it_is_gone_when_the_store_closes(path: Where, provider: ScriptedProvider) -> None:
    """Nothing can be read of it any more, and a store that was closed makes none."""
    store = convostore.open(path, provider=provider)
    chat = await store.create(ephemeral=True)
    await chat.append(Message.user("hi"))
    await store.aclose()
    for work in (chat.history(), chat.keep(), chat.append(Message.user("x")), store.create()):
        with pytest.raises(StoreClosedError):
            await work
    with pytest.raises(StoreClosedError):
        await store.create(ephemeral=True)


@pytest.mark.asyncio
@pytest.mark.only("sqlite", reason="a file that is not made can be seen")
async def test_store_itself_is_opened_when_something_is_kept(
    path: Path, provider: ScriptedProvider
) -> None:
    """Until then there is no file, not even an empty one."""
    store = convostore.open(path, provider=provider)
    chat = await store.create(ephemeral=True)
    provider.answer("Hello")
    await chat.send("Hi")
    assert list(path.parent.iterdir()) == []
    await chat.keep()
    assert path.exists()
    await store.aclose()


@pytest.mark.asyncio
@pytest.mark.only("sqlite", reason="of the connections of SQLite's")
async def test_store_without_any_opens_nothing_more(
    path: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection to memory and no thread are made where nobody asks for an ephemeral one."""
    opened: list[str] = []
    connect: Any = sqlite3.connect

    def counted(database: Any, *args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(os.fspath(database))
        connection: sqlite3.Connection = connect(database, *args, **options)
        return connection

    monkeypatch.setattr(sqlite3, "connect", counted)
    async with convostore.open(path, provider=provider) as store:
        chat = await store.create()
        await chat.append(Message.user("hi"))
        await chat.history()
        writers, memory = _writers(), opened.count(":memory:")
        assert memory == 0
        await store.create(ephemeral=True)
        assert (len(_writers() - writers), opened.count(":memory:")) == (1, 1)


def _writers() -> set[int | None]:
    return {one.ident for one in threading.enumerate() if one.name == "convostore-writer"}
