"""Rooms that get another key or begin anew, and what is made of those who do not know it yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.util import await_only

import convostore
from convostore import Message
from convostore.errors import ConversationNotFoundError, DuplicateKeyError
from convostore.events import Finished
from convostore.storage import reads
from convostore.storage import rooms as storage_rooms
from convostore.turning import lines, opening, rooms
from tests.engines import change
from tests.turn.talking import asked, said

if TYPE_CHECKING:
    from convostore import Store
    from convostore.storage.statements import Tx
    from convostore.testing import ScriptedProvider
    from convostore.turning.lines import Ticket
    from tests.engines import Where

OLD, NEW = "telegram:-42", "telegram:-10042"
STATE = (
    "INSERT INTO checkpoint (owner_id, conversation_id, namespace, id, state, metadata)"
    " SELECT owner_id, id, '', 'c', '{}', '{}' FROM conversation WHERE id = ?"
)


@pytest.mark.asyncio
async def test_rooms_of_a_groups_people_go_along_with_it(
    store: Store, provider: ScriptedProvider
) -> None:
    """Each with what was said in it, told by either key; no other group's, whatever its id begins with."""
    provider.otherwise = ("answer", Finished())
    users = [f":user:telegram:{number}" for number in (1, 2, 3)]
    for key in ("", *users, "0", f"0{users[0]}"):
        await (await store.get_or_create(OLD + key)).send(f"of {key}", idempotency_key="1")
    taken = await (await store.get_or_create(NEW + users[1])).send("came first")
    with pytest.raises(DuplicateKeyError, match=f"{OLD}{users[1]} and {NEW}{users[1]}"):
        await store.rename_key(OLD, NEW, below=True)
    calls = len(provider.calls)
    for key in ("", users[0], users[2]):
        chat = await store.get_or_create(NEW + key)
        assert await said(chat) == [f"of {key}", "answer"]
        await chat.send(f"of {key}", idempotency_key="1")
        await (await store.get_or_create(OLD + key)).send(f"of {key}", idempotency_key="1")
    assert len(provider.calls) == calls
    keys = {one.key for one in (await store.list()).items}
    left = {f"{OLD}0", f"{OLD}0{users[0]}", OLD + users[1]}
    assert keys == {NEW + key for key in ("", *users)} | left
    assert (await store.get_or_create(NEW + users[1])).record.head_seq == taken.seq
    assert not await store.for_owner("other").rename_key(OLD, NEW, below=True)


@pytest.mark.asyncio
async def test_room_in_which_nothing_was_said_gives_way_to_the_renamed_one(
    path: Where, store: Store, provider: ScriptedProvider
) -> None:
    """Made by the first message of the new group, before the platform told what it is; it is in the bin."""
    provider.otherwise = ("answer", Finished())
    old = await store.get_or_create(OLD, system="be brief")
    await old.send("plum", idempotency_key="1")
    fresh = await store.get_or_create(NEW, system="be brief")
    assert await store.rename_key(OLD, NEW)
    assert (await store.get_or_create(NEW)).id == old.id
    assert (await store.get_or_create(OLD)).id == old.id
    assert [one.id for one in (await store.list(deleted=True)).items] == [fresh.id]
    before = fresh.id
    await fresh.send(
        "fig", idempotency_key="2"
    )  # goes where its room is, from wherever it was asked
    assert (await said(fresh))[1:] == ["plum", "answer", "fig", "answer"]
    untold = await store.get_or_create("telegram:-7")
    assert await store.rename_key("telegram:-7", NEW)  # nothing to be lost here, either
    assert (await store.get_or_create(NEW)).id == old.id
    assert {one.id for one in (await store.list(deleted=True)).items} == {before, untold.id}
    graph = await store.get_or_create("graph")
    await asyncio.to_thread(change, path, STATE, graph.id)
    with pytest.raises(DuplicateKeyError):
        await store.rename_key("graph", NEW)
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_answer_that_was_forgotten_does_not_come_back_when_its_question_is_told_again(
    store: Store, provider: ScriptedProvider
) -> None:
    """What is left of it is returned, without its text; who wants another one asks for it."""
    provider.otherwise = ("answer", Finished())
    chat = await store.get_or_create(OLD)
    reply = await chat.send("plum", idempotency_key="1")
    await chat.forget(reply.id)
    for again in (chat, await store.get_or_create(OLD)):
        told = await again.send("plum", idempotency_key="1")
        assert (told.id, told.status, told.text) == (reply.id, "erased", "")
        async with again.proceed(below="1") as turn:
            assert (await turn.drain()).id == reply.id
    assert len(provider.calls) == 1
    async with chat.regenerate("1") as turn:
        await turn.drain()
    assert (await chat.send("plum", idempotency_key="1")).text == "answer"
    assert len(provider.calls) == 2


@pytest.mark.asyncio
async def test_object_that_is_held_goes_on_where_its_room_has_begun_anew(
    path: Where, store: Store, provider: ScriptedProvider
) -> None:
    """Another process has reset it: questions, what is appended and titles are the new one's from then on."""
    provider.otherwise = ("answer", Finished())
    asking, appending = [await store.get_or_create(OLD, system="be brief") for _ in range(2)]
    await asking.send("secret", idempotency_key="1")
    async with convostore.open(path, provider=provider) as elsewhere:
        old = await (await elsewhere.get_or_create(OLD)).reset()
        await elsewhere.rename_key(OLD, NEW)
    reply = await asking.send("plum", idempotency_key="2")
    assert asked(provider) == ["be brief", "plum"]
    await appending.append(Message.user("fig"))
    assert asking.id == appending.id != old.id
    assert await said(appending) == ["be brief", "plum", "answer", "fig"]
    assert (asking.key, await said(asking)) == (NEW, ["be brief", "plum", "answer"])
    await asking.rename("The room")
    assert (await store.get_or_create(NEW)).title == "The room"
    assert (await asking.send("plum", idempotency_key="2")).id == reply.id
    assert (await asking.send("secret", idempotency_key="1")).text == "answer"
    assert len(provider.calls) == 2
    kept = await store.resume(old.id)  # by its id it is meant itself
    await kept.send("on")
    assert asked(provider) == ["be brief", "secret", "answer", "on"]


@pytest.mark.asyncio
async def test_turn_that_runs_ends_in_the_old_conversation_and_the_next_begins_in_the_new_one(
    path: Where, store: Store, provider: ScriptedProvider
) -> None:
    """Both of one object, while another process begins the room anew: each is stored where it belongs."""
    gate = provider.gate("running")
    provider.script("one ", gate, "whole", Finished())
    provider.answer("two")
    chat = await store.get_or_create(OLD)
    async with chat.stream("first") as turn:
        await anext(turn)
        async with convostore.open(path, provider=provider) as elsewhere:
            old = await (await elsewhere.get_or_create(OLD)).reset()
        assert (await chat.send("second")).text == "two"  # at once: nothing runs in the new one
        gate.open()
        await turn.drain()
    assert await said(await store.resume(old.id)) == ["first", "one whole"]
    assert await said(chat) == ["second", "two"]
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_room_that_was_only_renamed_or_is_gone_is_not_left(
    store: Store, provider: ScriptedProvider
) -> None:
    """Its old key may be another room's by now. A room that was deleted goes on in the one made since."""
    provider.otherwise = ("answer", Finished())
    held, deleted = await store.get_or_create(OLD), await store.get_or_create("telegram:-7")
    for chat in (held, deleted):
        await chat.send("plum")
    await store.rename_key(OLD, NEW)
    await store.create(key=OLD)
    await held.send("fig")
    assert (await store.get_or_create(NEW)).id == held.id
    assert await said(held) == ["plum", "answer", "fig", "answer"]
    await (await store.resume(deleted.id)).delete()
    with pytest.raises(ConversationNotFoundError, match="in the bin"):
        await deleted.send("fig")
    fresh = await store.get_or_create("telegram:-7")
    await deleted.send("fig")
    assert (deleted.id, await said(deleted)) == (fresh.id, ["fig", "answer"])


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", ["send", "append"])
async def test_first_message_of_a_new_room_that_gives_way_meanwhile_is_not_lost(
    store: Store, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Told just before the platform says that the group has moved: it follows what was said there."""
    provider.otherwise = ("answer", Finished())
    old, fresh = await store.get_or_create(OLD), await store.get_or_create(NEW)
    await old.send("plum")

    async def in_turn(ticket: Ticket, deadline_s: float) -> None:
        await lines.in_turn(ticket, deadline_s)
        await store.rename_key(OLD, NEW)

    monkeypatch.setattr(opening if verb == "send" else rooms, "in_turn", in_turn)
    await (fresh.send("fig") if verb == "send" else fresh.append(Message.user("fig")))
    assert fresh.id == old.id
    assert (await said(fresh))[:3] == ["plum", "answer", "fig"]


@pytest.mark.asyncio
@pytest.mark.only("postgres")  # on a file only one process writes at a time
async def test_what_another_process_says_in_a_room_just_when_it_gives_way_is_said_in_the_renamed_one(
    path: Where, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits until it is decided which room that is, and does not go to the bin with the empty one."""
    await (await store.get_or_create(OLD)).append(Message.user("plum"))
    look, saying = storage_rooms._is_untouched, list[asyncio.Task[Any]]()

    def slow(tx: Tx, owner_id: str, id_: str) -> bool:
        untouched = look(tx, owner_id, id_)
        saying.append(asyncio.ensure_future(fresh.append(Message.user("fig"))))
        await_only(asyncio.wait(saying, timeout=0.5))
        return untouched

    async with convostore.open(path) as elsewhere:
        fresh = await elsewhere.get_or_create(NEW)
        monkeypatch.setattr(storage_rooms, "_is_untouched", slow)
        assert await store.rename_key(OLD, NEW)
        await asyncio.gather(*saying)
    assert await said(await store.get_or_create(NEW)) == ["plum", "fig"]


@pytest.mark.asyncio
async def test_history_that_is_being_read_while_its_room_begins_anew_is_of_one_conversation(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read in two steps where a branch is among its last messages; both are of the old one."""
    chat = await store.get_or_create(OLD)
    await chat.append(Message.user("plum"))
    await chat.append(Message.user("fig"))
    await chat.switch(1, exactly=True)
    await chat.append(Message.user("pear"))
    read = reads.messages_between

    async def slow(*at: Any, **between: Any) -> tuple[Message, ...]:
        found = await read(*at, **between)
        await chat.reset()
        return found

    monkeypatch.setattr(reads, "messages_between", slow)
    assert [one.text for one in await chat.history(2)] == ["plum", "pear"]
    assert await chat.history() == ()


@pytest.mark.asyncio
@pytest.mark.parametrize("named", ["number", "id"])
async def test_what_waits_in_line_is_done_where_it_was_meant_though_the_room_begins_anew(
    store: Store, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """It waits for an answer that runs; meanwhile the room has another first message."""
    gate, waits = provider.gate("said"), asyncio.Event()

    async def in_turn(ticket: Ticket, deadline_s: float) -> None:
        waits.set()
        await lines.in_turn(ticket, deadline_s)

    monkeypatch.setattr(rooms, "in_turn", in_turn)
    provider.script("answer", gate, Finished())
    chat = await store.get_or_create(OLD)
    asking = asyncio.create_task(chat.send("plum"))
    await gate.arrive()
    at = 1 if named == "number" else (await chat.history())[0].id
    reading = asyncio.create_task(chat.message(at, wait_s=60))
    appending = asyncio.create_task(chat.append(Message.user("pear")))
    forgetting = asyncio.create_task(chat.forget(at))
    await waits.wait()
    old = await chat.reset()
    await chat.append(Message.user("fig"))
    gate.open()
    await asyncio.gather(asking, appending)
    assert (await reading).text == "plum"
    assert await forgetting
    assert await said(chat) == ["fig"]
    left = await (await store.resume(old.id)).history()
    assert [(one.status, one.text) for one in left] == [
        ("erased", ""),
        ("completed", "answer"),
        ("completed", "pear"),
    ]


@pytest.mark.asyncio
async def test_object_that_has_looked_at_what_was_set_aside_still_goes_where_its_room_does(
    path: Where, store: Store, provider: ScriptedProvider
) -> None:
    """It knows by then that its conversation has no key any more; brought back from the bin it stays."""
    provider.otherwise = ("answer", Finished())
    chat = await store.get_or_create(OLD)
    await chat.send("plum", idempotency_key="1")
    async with convostore.open(path, provider=provider) as elsewhere:
        await (await elsewhere.get_or_create(OLD)).reset()
        await (await elsewhere.get_or_create(OLD)).append(Message.user("fig"))
        assert (await chat.message("1", wait_s=60)).text == "plum"
        assert chat.key is None
        await chat.append(Message.user("date"))
        assert await said(chat) == ["fig", "date"]
        await chat.delete()
        await elsewhere.get_or_create(OLD)
    await chat.undelete()
    await chat.append(Message.user("kiwi"))
    assert await said(chat) == ["fig", "date", "kiwi"]


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["edit", "regenerate", "proceed"])
async def test_message_that_is_named_by_its_number_is_that_of_the_conversation_at_hand(
    path: Where, store: Store, provider: ScriptedProvider, how: str
) -> None:
    """Another process has begun the room anew since: its message of that number is another one."""
    provider.otherwise = ("answer", Finished())
    chat = await store.get_or_create(OLD)
    await chat.send("plum")
    async with convostore.open(path, provider=provider) as elsewhere:
        other = await elsewhere.get_or_create(OLD)
        await other.reset()
        await other.send("fig")
        await other.send("date")
    turns = {
        "edit": lambda: chat.edit(1, "pear"),
        "regenerate": lambda: chat.regenerate(1),
        "proceed": lambda: chat.proceed(below=1),
    }
    async with turns[how]() as turn:
        await turn.drain()
    assert turn.user.text == ("pear" if how == "edit" else "plum")
    assert await said(chat) == [turn.user.text, "answer"]
    room = await store.get_or_create(OLD)
    assert await said(room) == ["fig", "answer", "date", "answer"]
    await chat.send("kiwi")  # a new question goes where the room does
    assert chat.id == room.id
