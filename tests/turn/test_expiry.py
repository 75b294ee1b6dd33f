"""Conversations that go by themselves: from their time on nobody sees them, and then they are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import convostore
from convostore import Message
from convostore.errors import ConversationNotFoundError
from convostore.events import Finished
from convostore.records import Filter
from tests.engines import rows

if TYPE_CHECKING:
    from convostore import Store
    from convostore.testing import ManualClock, ScriptedProvider
    from tests.engines import Where


def ids(where: Where) -> set[str]:
    """Return the ids of all conversations that have a row."""
    return {id_ for (id_,) in rows(where, "SELECT id FROM conversation")}


@pytest.mark.asyncio
async def test_expired_conversation_is_out_of_every_list_name_and_search(
    store: Store, manual: ManualClock
) -> None:
    """To the millisecond; before that it is like any other, afterwards as if it had been purged."""
    at_ms = manual.now_ms() + 1000
    chat = await store.create(title="short plum", key="room:1", expires_at_ms=at_ms)
    await chat.append(Message.user("plum"))
    await chat.tag("fruit")
    kept = await store.create(title="long plum", expires_at_ms=at_ms + 1)
    assert (await store.find(chat.id)).expires_at_ms == at_ms
    assert len((await store.search("plum")).items) == 3
    manual.set_wall(at_ms - 1)
    assert [one.title for one in (await store.list()).items] == ["long plum", "short plum"]
    assert (await store.resume("room:1")).id == chat.id
    manual.set_wall(at_ms)
    assert [one.title for one in (await store.list()).items] == ["long plum"]
    for words in ({"tag": "fruit"}, {"title": "short"}, {"key_prefix": "room"}):
        assert await store.matching(**words) == ()  # type: ignore[arg-type] # a filter's words
    assert [one.title for one in (await store.search("plum")).items] == ["long plum"]
    assert (await store.find("@")).id == kept.id
    for ref in (chat.id, chat.handle, chat.handle[:6], "room:1", "@2"):
        with pytest.raises(ConversationNotFoundError, match="there is no conversation"):
            await store.resume(ref)
    for work in (
        chat.append(Message.user("more")),
        chat.send("more"),
        chat.rename("new"),
        chat.expire(None),
        chat.fork(),
    ):
        with pytest.raises(ConversationNotFoundError):
            await work
    second = await store.get_or_create("room:1")
    assert second.id != chat.id
    manual.set_wall(at_ms + 1)
    assert [one.id for one in (await store.list()).items] == [second.id]


@pytest.mark.asyncio
async def test_expired_rows_go_when_somebody_comes_by(
    store: Store, manual: ManualClock, path: Where
) -> None:
    """Whoever makes or resumes a conversation removes them; what was paid stays; so does the rest."""
    chat = await store.create(title="one", expires_at_ms=manual.now_ms() + 1000)
    await chat.append(Message.user("q"))
    binned = await store.create(title="two", expires_at_ms=manual.now_ms() + 1000)
    await binned.delete()
    kept = await store.create(title="kept", expires_at_ms=manual.now_ms() + 5000)
    manual.set_wall(manual.now_ms() + 1000)
    assert await store.matching(deleted=True) == ()
    assert ids(path) == {chat.id, binned.id, kept.id}
    async with convostore.open(path) as other:
        await other.resume("@")
    assert ids(path) == {kept.id}
    manual.set_wall(manual.now_ms() + 5000)
    report = await store.purge_expired()
    assert (report.found, report.changed) == (1, 1)
    assert ids(path) == set()
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_expiry_can_be_moved_and_taken_back(store: Store, manual: ManualClock) -> None:
    """For one, and for all that fit; a time that is over is refused, and changes nothing."""
    chat = await store.create(title="one", expires_at_ms=manual.now_ms() + 1000)
    with pytest.raises(ValueError, match="no time to come"):
        await chat.expire(manual.now_ms())
    with pytest.raises(ValueError, match="no time to come"):
        await store.create(expires_at_ms=manual.now_ms())
    record = await chat.expire(manual.now_ms() + 9000)
    assert record.expires_at_ms == manual.now_ms() + 9000
    assert (await chat.expire(None)).expires_at_ms is None
    await chat.expire(manual.now_ms() + 8.5)  # type: ignore[arg-type] # as time.time() * 1000 gives it
    assert repr((await store.find(chat.id)).expires_at_ms) == repr(manual.now_ms() + 8)
    at_ms = manual.now_ms() + 7
    report = await store.update_all(Filter(), expires_at_ms=at_ms)
    assert (report.found, report.changed) == (1, 1)
    assert (await store.find(chat.id)).expires_at_ms == at_ms
    assert (await store.update_all(Filter(), expires_at_ms=None)).changed == 1
    assert (await store.update_all(Filter(), pin=True)).changed == 1
    assert (await store.find(chat.id)).expires_at_ms is None


@pytest.mark.asyncio
async def test_reply_that_runs_when_its_conversation_expires_ends_well(
    store: Store, provider: ScriptedProvider, manual: ManualClock, path: Where
) -> None:
    """It is not removed under its writer; once it has ended it goes."""
    provider.script("Hello", provider.gate("rest"), " there", Finished())
    chat = await store.create(expires_at_ms=manual.now_ms() + 1000)
    async with chat.stream("Hi") as turn:
        await anext(turn)
        manual.set_wall(manual.now_ms() + 1000)
        report = await store.purge_expired()
        assert (report.found, report.busy) == (1, 1)
        provider.gate("rest").open()
        assert (await turn.drain()).text == "Hello there"
    assert ids(path) == {chat.id}
    assert (await store.purge_expired()).changed == 1
    assert ids(path) == set()
