"""The bin: out of sight and reach, and back as it was; what runs in it ends with an error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from convostore import Message
from convostore.errors import (
    AmbiguousHandleError,
    ConversationNotFoundError,
    DuplicateKeyError,
    FormatError,
)
from convostore.events import Finished
from convostore.records import Filter
from convostore.storage.deleting import MoveBin, move_bins
from convostore.storage.statements import Tx

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from watching import Watch  # type: ignore[import-not-found] # pytest puts this folder on the path

    from convostore import Conversation, Store
    from convostore.testing import ManualClock, ScriptedProvider


async def titles(store: Store, **words: Any) -> list[str | None]:
    """Page through a list, two at a time."""
    found: list[str | None] = []
    cursor = None
    while True:
        page = await store.list(limit=2, cursor=cursor, **words)
        found += [one.title for one in page.items]
        if (cursor := page.next_cursor) is None:
            return found


@pytest.mark.asyncio
async def test_what_is_deleted_is_out_of_reach_and_comes_back_as_it_was(store: Store) -> None:
    """No list, name or export reaches it; brought back, its record is the same in every field."""
    chat = await store.create(title="Kyoto", key="room:1")
    await chat.append(Message.user("rail pass"))
    await chat.pin()
    await chat.tag("travel")
    before, history = await store.find(chat.id), await chat.history()
    assert (await chat.delete()).deleted_at_ms is not None
    for ref in (chat.id, chat.handle, chat.handle[:5], "room:1"):
        with pytest.raises(ConversationNotFoundError, match=f"{chat.handle} is in the bin") as none:
            await store.find(ref)
        assert none.value.hint == f"bring it back: convostore restore {chat.handle}"
    with pytest.raises(ConversationNotFoundError, match="there is no conversation @"):
        await store.resume("@")
    assert await titles(store) == await titles(store, archived=None) == []
    assert await titles(store, tag="travel") == []
    assert await titles(store, tag="travel", deleted=True) == ["Kyoto"]
    pieces = await store.export()
    assert [one async for one in pieces if "rail" in one] == []  # type: ignore[union-attr] # without `to` it yields text
    report = await store.undelete("@")
    assert (report.found, report.changed, report.gone) == (1, 1, 0)
    assert await store.find("room:1") == before
    assert await (await store.resume("@")).history() == history


@pytest.mark.asyncio
async def test_every_verb_of_a_live_object_says_that_it_is_in_the_bin(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Whoever holds the conversation is told, stores nothing in it, and goes on once it is back."""
    await chat.append(Message.user("Hi"), Message.assistant("Hello"))
    other = await store.resume(chat.id)
    await store.delete(chat.handle)
    for work in (
        other.append(Message.user("more")),
        other.send("more"),
        other.rename("new"),
        other.pin(),
        other.fork(),
        other.switch(1),
        other.delete_branch(2),
    ):
        with pytest.raises(ConversationNotFoundError, match=f"{chat.handle} is in the bin"):
            await work
    assert provider.calls == []
    assert (await other.delete()).deleted_at_ms is not None  # said again
    assert len(await other.messages()) == 2
    await other.undelete()
    provider.answer("back")
    assert (await other.send("more")).text == "back"


@pytest.mark.asyncio
async def test_running_reply_of_a_deleted_conversation_ends_and_keeps_its_text(
    store: Store, chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """At its next flush the turn hears of it; what was shown is in the bin, as failed."""
    provider.script("Hello ", "x" * 5000, "never", Finished())
    async with chat.stream("Hi") as turn:
        assert (await anext(turn)).text == "Hello "
        await store.delete(chat.id)
        with pytest.raises(ConversationNotFoundError, match="moved to the bin while its reply ran"):
            await turn.drain()
    assert turn.reply.status == "failed"
    assert watch.messages()[-1][2:4] == ("assistant", "failed")
    await chat.undelete()
    kept = (await chat.history())[-1]
    assert (kept.id, kept.status) == (turn.reply.id, "failed")
    assert kept.text == "Hello " + "x" * 5000


@pytest.mark.asyncio
async def test_key_of_a_deleted_conversation_goes_to_the_next_that_asks(store: Store) -> None:
    """A bot's room goes on at once; the first one comes back without the key."""
    first = await store.get_or_create("room:1", title="first")
    with pytest.raises(DuplicateKeyError):
        await store.create(key="room:1")
    await first.delete()
    second = await store.get_or_create("room:1", title="second")
    assert second.id != first.id
    assert (await store.get_or_create("room:1")).id == second.id
    assert (await first.undelete()).key is None
    assert (await store.find(first.handle)).key is None
    assert (await store.find("room:1")).id == second.id
    await second.delete()
    assert (await store.create(key="room:1")).id not in {first.id, second.id}


@pytest.mark.asyncio
async def test_key_stays_where_nobody_asked_for_it(store: Store) -> None:
    """Deleted by mistake and brought back: the room is the same one."""
    first = await store.get_or_create("room:1")
    await first.delete()
    assert (await first.undelete()).key == "room:1"
    assert (await store.get_or_create("room:1")).id == first.id


@pytest.mark.asyncio
async def test_bin_is_listed_by_deletion_page_by_page(store: Store, manual: ManualClock) -> None:
    """What went last comes first, archived or not; filters narrow it; cursors hold on."""
    chats = [await store.create(title=str(number), provider="echo") for number in range(5)]
    await chats[3].archive()
    for number in (2, 0, 3, 1):
        manual.set_wall(manual.now_ms() + 1)
        await chats[number].delete()
    assert await titles(store, deleted=True) == ["1", "3", "0", "2"]
    assert await titles(store, deleted=True, archived=True) == ["3"]
    assert await titles(store, deleted=True, provider="echo", title="2") == ["2"]
    assert await titles(store, deleted=True, since_ms=manual.now_ms()) == []
    assert await titles(store) == ["4"]
    page = await store.list(limit=2, deleted=True)
    await store.undelete(chats[3].id)
    await chats[4].delete()
    rest = await store.list(limit=5, deleted=True, cursor=page.next_cursor)
    assert [one.title for one in rest.items] == ["0", "2"]
    with pytest.raises(FormatError, match="another list"):
        await store.list(cursor=page.next_cursor)
    assert (await store.find_deleted("@2")).title == "1"


@pytest.mark.asyncio
async def test_many_go_and_come_back_by_a_filter_or_by_ids(store: Store) -> None:
    """The report says how many were meant, moved, and gone; a name that fits nothing is an error."""
    chats = [await store.create(title=f"trip {number}") for number in range(3)]
    await store.create(title="else")
    report = await store.delete(Filter(title="TRIP"))
    assert (report.found, report.changed, report.gone) == (3, 3, 0)
    assert await titles(store) == ["else"]
    report = await store.delete([one.id for one in chats])
    assert (report.found, report.changed) == (3, 0)
    report = await store.undelete([chats[0].id, "nobody"])
    assert (report.found, report.changed, report.gone) == (2, 1, 1)
    assert (await store.undelete(Filter(title="trip"))).changed == 2
    for verb in (store.delete, store.undelete, store.find_deleted):
        with pytest.raises(ConversationNotFoundError):
            await verb("zzzzzzzz")
    await store.delete(chats[0].id)
    await store.delete(chats[1].id)
    with pytest.raises((AmbiguousHandleError, ConversationNotFoundError)):
        await store.undelete("")
    bare = store.for_owner("nobody")
    assert (await bare.delete(Filter())).found == 0
    with pytest.raises(ConversationNotFoundError, match="in the bin"):
        await bare.undelete("@")
    with pytest.raises(ConversationNotFoundError):
        await store.for_owner("eve").delete(chats[2].id)


@pytest.mark.asyncio
async def test_two_who_delete_and_restore_at_once_leave_one_of_both(store: Store) -> None:
    """Each write is one row's; whoever comes last has said where it is."""
    chat = await store.create(title="one")
    await asyncio.gather(*(store.delete([chat.id]) for _ in range(4)), store.undelete([chat.id]))
    listed = [await titles(store), await titles(store, deleted=True)]
    assert sorted(listed) == [[], ["one"]]


@pytest.mark.asyncio
async def test_move_whose_answer_was_lost_counts_as_made(store: Store) -> None:
    """Run again, it finds itself done, and says that it was this job that did it."""
    chat = await store.create(title="one")
    database, owner_id = await store._owned.for_writing()
    job = MoveBin(conversation_id=chat.id, deleted_at_ms=7)

    def twice(tx: Tx, owner_id: str, jobs: Sequence[MoveBin]) -> list[Any]:
        move_bins(tx, owner_id, jobs)
        return move_bins(Tx(tx.cursor, tx.dialect, again=True), owner_id, jobs)

    moved = await database.write(twice, owner_id, job)
    assert (moved.deleted_at_ms, moved.changed) == (7, True)
    assert not (await database.write(move_bins, owner_id, job)).changed
