"""Purging: what is in the bin goes for good, whole or not at all; the way there, and who may not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from convostore import Message
from convostore.errors import (
    ConversationBusyError,
    ConversationNotFoundError,
    NotFoundError,
    StoreBusyError,
)
from convostore.events import Finished
from convostore.records import Filter, Usage
from convostore.storage import own_copies
from convostore.storage.copies import beside, unfinished
from convostore.storage.files import FileLock
from convostore.storage.purging import Purge, purge_conversations
from convostore.storage.statements import Tx
from tests.engines import change

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from watching import Watch  # type: ignore[import-not-found] # pytest puts this folder on the path

    from convostore import Conversation, Store
    from convostore.testing import ScriptedProvider
    from tests.engines import Where

TABLES = ("conversation", "message", "journal", "remote_thread", "tag", "search_pending")


@pytest.mark.asyncio
async def test_purged_conversation_leaves_no_row_but_what_was_paid(
    store: Store, chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """Every table is empty of it, and of it alone; the tokens stay counted."""
    provider.script("Hello", Finished(usage=Usage(input_tokens=7)))
    await chat.send("Hi")
    await chat.tag("travel")
    other = await store.create(title="other")
    await other.append(Message.user("stays"))
    await store.search("hello")
    await chat.delete()
    report = await store.purge("@")
    assert (report.found, report.changed, report.gone, report.messages) == (1, 1, 0, 2)
    for table in (*TABLES, "message_search"):
        name = "id" if table == "conversation" else "conversation_id"
        assert (chat.id,) not in watch.rows(f"select {name} from {table}")
    assert watch.rows("select conversation_id, input_tokens from usage") == [(chat.id, 7)]
    assert [one.text for one in await other.history()] == ["stays"]
    assert (await store.check(deep=True)).problems == ()
    for work in (chat.undelete(), chat.purge(), chat.send("more"), store.purge(chat.id)):
        with pytest.raises(ConversationNotFoundError, match="there is no conversation"):
            await work


@pytest.mark.asyncio
async def test_every_verb_of_a_live_object_says_that_the_conversation_is_gone(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Not that a branch of it was removed, and not that it never had such a message."""
    (first,) = await chat.append(Message.user("Hi"))
    await chat.append(Message.assistant("Hello"))
    other = await store.resume(chat.id)
    await other.purge()
    for work in (
        chat.send("more"),
        chat.append(Message.user("more")),
        chat.history(),
        chat.history(1),
        chat.siblings(),
        chat.siblings(1),
        chat.message(1),
        chat.switch(1),
        chat.switch(first.id),
        chat.fork(),
        chat.fork(1),
        chat.delete_branch(1),
        chat.forget(1),
        chat.view(),
        chat.rename("new"),
        chat.regenerate().__aenter__(),
        chat.edit(1, "Hey").__aenter__(),
    ):
        with pytest.raises(ConversationNotFoundError, match="there is no conversation"):
            await work
    assert provider.calls == []


@pytest.mark.asyncio
async def test_only_what_is_in_the_bin_is_purged_by_name(store: Store) -> None:
    """A name outside the bin is an error; what was brought back meanwhile is left, and counted."""
    kept, gone = await store.create(title="kept"), await store.create(title="gone")
    with pytest.raises(ConversationNotFoundError, match="in the bin"):
        await store.purge(kept.handle)
    await gone.delete()
    report = await store.purge([kept.id, gone.id, "nobody"])
    assert (report.found, report.changed, report.gone) == (3, 1, 2)
    assert [one.title for one in (await store.list()).items] == ["kept"]
    assert await kept.purge() == 0  # its own object's verb takes it from where it is
    assert (await store.list()).items == ()
    bare = store.for_owner("nobody")
    assert (await bare.purge(Filter())).found == 0


@pytest.mark.asyncio
async def test_whole_bin_goes_and_nobody_elses(store: Store) -> None:
    """More than one commit's worth, archived and pinned ones too; another owner's bin stays."""
    alice = store.for_owner("alice")
    theirs = await alice.create(title="theirs")
    await theirs.delete()
    for number in range(45):
        chat = await store.create(title=f"{number}")
        if number % 9 == 0:
            await chat.archive()
        if number % 7 == 0:
            await chat.pin()
        await chat.delete()
    await store.create(title="stays")
    report = await store.purge(Filter(archived=None))
    assert (report.found, report.changed) == (45, 45)
    assert await store.matching(deleted=True, archived=None) == ()
    assert [one.title for one in (await store.list()).items] == ["stays"]
    assert [one.title for one in (await alice.list(deleted=True)).items] == ["theirs"]


@pytest.mark.asyncio
async def test_conversation_whose_reply_runs_stays_and_is_counted(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Nothing of it changes; once the reply has ended it can go."""
    provider.script("Hello", provider.gate("rest"), Finished())
    idle = await store.create(title="idle")
    async with chat.stream("Hi") as turn:
        await anext(turn)
        await store.delete([chat.id, idle.id])
        report = await store.purge(Filter())
        assert (report.found, report.changed, report.busy) == (2, 1, 1)
        with pytest.raises(ConversationBusyError, match=f"a reply of {chat.handle}"):
            await chat.purge()
        await chat.undelete()
        provider.gate("rest").open()
        reply = await turn.drain()
    assert (reply.status, reply.text) == ("completed", "Hello")
    assert await chat.purge() == 2


@pytest.mark.asyncio
async def test_late_words_of_a_purged_reply_bring_nothing_back(
    store: Store, chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """A writer that was taken for dead comes back after the purge: it is told, and stores nothing."""
    provider.script("Hello", provider.gate("rest"), " late", Finished())
    async with chat.stream("Hi") as turn:
        await anext(turn)
        change(watch.path, "UPDATE message SET lease = 'x|x|x|1|1|0' WHERE status = 'streaming'")
        await store.delete(chat.id)
        assert (await store.purge(chat.id)).changed == 1
        provider.gate("rest").open()
        with pytest.raises(NotFoundError):
            await turn.drain()
    for table in TABLES[:4]:
        assert watch.rows(f"select 1 from {table}") == []
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_purge_whose_answer_was_lost_counts_as_made(store: Store) -> None:
    """Run again, it finds nothing, and says that it was this job that did it."""
    chat = await store.create(title="one")
    database, owner_id = await store._owned.for_writing()
    job = Purge(conversation_id=chat.id, now_ms=0)

    def twice(tx: Tx, owner_id: str, jobs: Sequence[Purge]) -> list[Any]:
        purge_conversations(tx, owner_id, jobs)
        return purge_conversations(Tx(tx.cursor, tx.dialect, again=True), owner_id, jobs)

    assert (await database.write(twice, owner_id, job)).changed
    with pytest.raises(ConversationNotFoundError):
        await database.write(purge_conversations, owner_id, job)


@pytest.mark.only("sqlite", reason="a server's copies are its operator's")
@pytest.mark.asyncio
async def test_copies_that_we_left_beside_the_store_are_named_and_removed(
    store: Store, path: Path
) -> None:
    """All that an upgrade or a restore leaves, and what is left of those; nobody else's file."""
    await store.create(title="one")
    ours = {
        *("chats.db.before-upgrade-0001", "chats.db.before-upgrade-0003-2"),
        *("chats.db.before-restore", "chats.db.before-restore-2-wal", "chats.db.lost-wal"),
        *(".chats.db.tok123.part", ".chats.db.before-upgrade-0002.tok.part-journal"),
        ".chats.db.tok123.part-lock",  # whose holder is dead
    }
    others = {"chats.db.bak", "my-chats.db.before-restore", "chats.db.txt", ".chats.dbx.part"}
    for name in ours | others:
        path.with_name(name).write_bytes(b"x")
    found = store.copies()
    assert {one.name for one in found} == ours
    with pytest.raises(ValueError, match="only what"):
        await store.remove_copies([path])
    await store.remove_copies(found)
    left = {one.name for one in path.parent.iterdir()}
    assert left == others | {"chats.db", "chats.db-wal", "chats.db-shm", "chats.db-lock"}


@pytest.mark.only("sqlite", reason="a server's copies are its operator's")
@pytest.mark.asyncio
async def test_copy_that_is_just_being_made_is_left_to_whoever_makes_it(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not named, and not removed; while a restore takes the place nothing is."""
    await store.create(title="one")
    with unfinished(path) as part:
        beside(part, "-journal").write_bytes(b"x")
        assert store.copies() == ()
        with pytest.raises(ValueError, match="only what"):
            await store.remove_copies([part])
    kept = path.with_name("chats.db.before-restore")
    kept.write_bytes(b"x")
    monkeypatch.setattr(own_copies, "BUSY_TIMEOUT_S", 0.05)
    lock = FileLock(path)
    with lock, pytest.raises(StoreBusyError):
        await store.remove_copies([kept])
    lock.close()
    await store.remove_copies([kept, part])  # somebody has removed one of them meanwhile
    assert not kept.exists()


@pytest.mark.asyncio
async def test_store_on_a_server_has_no_copies_of_ours(store: Store, path: Where) -> None:
    """There is nothing beside it that could be named."""
    assert store.copies() == ()
    assert store.is_on_server is not isinstance(path, Path)
