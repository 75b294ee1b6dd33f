"""Rooms of bots: other keys, beginning anew, and what repeats find in either case."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore import Message
from convostore.errors import (
    ConversationNotFoundError,
    DuplicateKeyError,
    InvalidTextError,
    MessageNotFoundError,
    ProviderConnectError,
)
from convostore.events import Finished
from convostore.storage.rooms import RenameKey, Reset, rename_keys, reset_conversations
from convostore.storage.statements import Tx
from convostore.testing import Fail
from convostore.turning import lines, opening
from tests.engines import rows
from tests.turn.talking import BROKEN, asked, keyed, said

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from watching import Watch  # type: ignore[import-not-found] # pytest puts this folder on the path

    from convostore import Store
    from convostore.testing import ScriptedProvider
    from convostore.turning.lines import Ticket

OLD, NEW = "telegram:-42", "telegram:-10042"


@pytest.mark.asyncio
async def test_renamed_room_goes_on_under_either_key(
    store: Store, provider: ScriptedProvider
) -> None:
    """Repeats of before are found under both; what comes late by the old key is told to it, too."""
    provider.otherwise = ("answer", Finished())
    first = await (await store.get_or_create(OLD)).send("one", idempotency_key="1")
    assert await store.rename_key(OLD, NEW)
    assert await store.rename_key(OLD, NEW)  # a platform says it in both chats
    chat = await store.get_or_create(NEW)
    assert chat.key == NEW
    assert (await store.get_or_create(OLD)).id == chat.id
    for key in (OLD, NEW):
        again = await (await store.get_or_create(key)).send("one", idempotency_key="1")
        assert again.id == first.id
    await (await store.get_or_create(OLD)).send("late", idempotency_key="2")
    await chat.send("late", idempotency_key="2")
    assert await said(chat) == ["one", "answer", "late", "answer"]
    assert len(provider.calls) == 2


@pytest.mark.asyncio
async def test_question_that_waits_while_its_room_is_renamed_is_asked_once(
    store: Store, provider: ScriptedProvider
) -> None:
    """It was told by the old key, is stored under what the room is called first, and found again."""
    gate = provider.gate("running")
    provider.script("one", gate, Finished())
    provider.answer("two")
    running = asyncio.create_task((await store.get_or_create(OLD)).send("first"))
    await gate.arrive()
    late = await store.get_or_create(OLD)
    waiting = asyncio.create_task(late.send("second", idempotency_key="2"))
    await asyncio.sleep(0.01)
    await store.rename_key(OLD, NEW)
    gate.open()
    await asyncio.gather(running, waiting)
    again = await (await store.get_or_create(NEW)).send("second", idempotency_key="2")
    assert again.text == "two"


@pytest.mark.asyncio
async def test_key_that_is_taken_or_none_is_refused(store: Store) -> None:
    """Two rooms are never made one; where there is none, nothing happens; keys are looked at."""
    assert not await store.rename_key(OLD, NEW)  # nobody has anything yet
    for key in (OLD, NEW):
        await (await store.create(key=key)).append(Message.user("q"))
    with pytest.raises(DuplicateKeyError, match=r"both .* are keys") as caught:
        await store.rename_key(OLD, NEW)
    assert caught.value.hint
    assert not await store.rename_key("nobody", "no one")
    for bad in ("", "  ", "x" * 10_240, "я" * 1_000 + "x", "a\x00b"):
        for pair in ((OLD, bad), (bad, OLD)):
            with pytest.raises(InvalidTextError, match="the key"):
                await store.rename_key(*pair)
        with pytest.raises(InvalidTextError, match="the key"):
            await store.get_or_create(bad)
    other = store.for_owner("somebody else")
    assert not await other.rename_key(OLD, "theirs")
    assert (await other.get_or_create(OLD)).id != (await store.get_or_create(OLD)).id


@pytest.mark.asyncio
async def test_keys_and_names_as_long_as_they_may_be_are_kept_and_found(
    store: Store, provider: ScriptedProvider
) -> None:
    """Nothing makes them shorter on the way into an index; longer ones are refused in one line."""
    provider.otherwise = ("answer", Finished())
    chance = random.Random(1)
    letters = [chr(one) for one in range(0xA1, 0x800)]  # so many that nothing packs them
    room, once, who = ("".join(chance.choices(letters, k=1_000)) for _ in range(3))
    chat = await store.get_or_create(room)
    for _ in range(2):
        await chat.send("plumm", idempotency_key=once, author=who)
        async with chat.edit(once, "plum", author=who, author_id=who) as turn:
            await turn.drain()
    assert len(provider.calls) == 2
    for long in (once + "x", "x" * 10_240):
        for words in ({"idempotency_key": long}, {"author": long}, {"author_id": long}):
            with pytest.raises(InvalidTextError, match=r"the (author|idempotency).* has .*, more"):
                await chat.send("q", **words)  # type: ignore[arg-type] # mypy takes all for one
    await store.rename_key(room, NEW)
    await (await store.get_or_create(room)).send("plumm", idempotency_key=once)
    assert len(provider.calls) == 2
    assert (await store.forget(user=who)).conversations == 1


@pytest.mark.asyncio
async def test_new_room_of_a_given_up_key_has_its_own_repeats(
    store: Store, provider: ScriptedProvider
) -> None:
    """Made by `create`: what is asked in it is not taken for what was asked in the first one."""
    provider.answer("first")
    provider.answer("second")
    await (await store.get_or_create(OLD)).send("q", idempotency_key="1")
    await store.rename_key(OLD, NEW)
    fresh = await store.create(key=OLD)
    assert (await fresh.send("q", idempotency_key="1")).text == "second"
    assert (await store.get_or_create(OLD)).id == fresh.id
    again = await (await store.get_or_create(NEW)).send("q", idempotency_key="1")
    assert again.text == "first"


@pytest.mark.asyncio
async def test_room_that_begins_anew_keeps_the_old_conversation(
    store: Store, provider: ScriptedProvider
) -> None:
    """System text, settings, tags and a chosen title come along; nothing that was said does."""
    provider.otherwise = ("answer", Finished())
    chat = await store.get_or_create(
        OLD, title="The room", system="be brief", settings={"temperature": 0.5}, metadata={"a": 1}
    )
    await chat.tag("bots")
    await chat.send("plum", idempotency_key="1")
    first = chat.id
    old = await chat.reset()
    assert (old.id, old.key) == (first, None)
    assert chat.id != first
    assert (await store.get_or_create(OLD)).id == chat.id
    record = chat.record
    assert (record.title, record.settings, record.metadata) == (
        "The room",
        {"temperature": 0.5},
        {"a": 1},
    )
    assert record.tags == ("bots",)
    await chat.send("next")
    assert asked(provider) == ["be brief", "next"]
    assert {one.id for one in (await store.list()).items} == {first, chat.id}
    assert [one.conversation_id for one in (await store.search("plum")).items] == [first]
    assert (await (await store.resume(first)).send("on")).text == "answer"
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_reset_of_a_room_where_nothing_was_said_changes_nothing(store: Store) -> None:
    """It would leave an empty conversation behind at each /reset."""
    chat = await store.get_or_create(OLD, system="be brief")
    before = chat.id
    assert (await chat.reset()).id == before == chat.id
    assert chat.key == OLD


@pytest.mark.asyncio
async def test_resets_at_once_begin_one_conversation(store: Store) -> None:
    """Whoever comes second finds what the first one made; so does who has the old one at hand."""
    chats = [await store.get_or_create(OLD) for _ in range(4)]
    await chats[0].append(Message.user("q"))
    await asyncio.gather(*(chat.reset() for chat in chats[:3]))
    assert len({chat.id for chat in chats[:3]}) == 1
    await store.rename_key(OLD, NEW)
    await chats[3].reset()
    assert chats[3].id == chats[0].id
    assert len((await store.list()).items) == 2


@pytest.mark.asyncio
async def test_turn_that_runs_while_its_room_begins_anew_ends_where_it_began(
    store: Store, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same object or another: its answer is in the old conversation, the next in the new."""
    in_line = asyncio.Event()

    async def in_turn(ticket: Ticket, deadline_s: float) -> None:
        in_line.set()
        await lines.in_turn(ticket, deadline_s)

    gate = provider.gate("running")
    provider.script("one ", gate, "whole", Finished())
    provider.answer("two")
    provider.answer("three")
    chat = await store.get_or_create(OLD)
    running = asyncio.create_task(chat.send("first", idempotency_key="1"))
    await gate.arrive()
    monkeypatch.setattr(opening, "in_turn", in_turn)
    waiting = await store.get_or_create(OLD)
    second = asyncio.create_task(waiting.send("second", idempotency_key="2"))
    await in_line.wait()
    old = await chat.reset()
    assert (await chat.send("third")).text == "two"  # at once: nothing runs in the new one
    gate.open()
    await asyncio.gather(running, second)
    assert await said(chat) == ["third", "two"]
    texts = await said(await store.resume(old.id))
    assert texts == ["first", "one whole", "second", "three"]
    for key, text in (("1", "first"), ("2", "second")):
        again = await (await store.get_or_create(OLD)).send(text, idempotency_key=key)
        assert again.text == {"1": "one whole", "2": "three"}[key]
    assert len(provider.calls) == 3


@pytest.mark.asyncio
async def test_repeat_from_before_a_reset_is_answered_as_it_was_then(
    store: Store, provider: ScriptedProvider
) -> None:
    """No model is called: not for an answer, and not for one that had failed; nor is it moved."""
    provider.answer("stored")
    provider.script("half", BROKEN)
    chat = await store.get_or_create(OLD)
    await chat.send("one", idempotency_key="1")
    with pytest.raises(ProviderConnectError):
        await chat.send("two", idempotency_key="2")
    await chat.append(keyed("three", "3"))
    await chat.reset()
    chat = await store.get_or_create(OLD)
    assert (await chat.send("one", idempotency_key="1")).text == "stored"
    with pytest.raises(ProviderConnectError) as caught:
        await chat.send("two", idempotency_key="2")
    assert caught.value.reply is not None
    assert caught.value.reply.text == "half"
    with pytest.raises(DuplicateKeyError):
        await chat.send("something else", idempotency_key="1")
    with pytest.raises(MessageNotFoundError, match="set aside before it was answered"):
        await chat.send("three", idempotency_key="3")
    again = keyed("three", "3")
    assert [one.text for one in await chat.append(again)] == ["three"]
    assert len(provider.calls) == 2
    assert await said(chat) == []


@pytest.mark.asyncio
async def test_conversation_in_the_bin_still_answers_repeats_of_its_key(
    store: Store, provider: ScriptedProvider
) -> None:
    """Its key went to the next one; what was asked in it is not asked again."""
    provider.answer("stored")
    chat = await store.get_or_create(OLD)
    await chat.send("one", idempotency_key="1")
    await chat.delete()
    anew = await store.get_or_create(OLD)
    assert anew.id != chat.id
    assert (await anew.send("one", idempotency_key="1")).text == "stored"
    with pytest.raises(ConversationNotFoundError, match="in the bin"):
        await chat.reset()


@pytest.mark.asyncio
async def test_edit_by_the_platforms_own_id(store: Store, provider: ScriptedProvider) -> None:
    """The newest wording is meant; the same words are asked once; one never seen is said so."""
    provider.otherwise = ("answer", Finished())
    chat = await store.get_or_create(OLD)
    await chat.send("on", idempotency_key="6")
    await chat.send("plumm", idempotency_key="7")
    for text in ("plum", "plum", "pear"):
        async with chat.edit("7", text, idempotency_key="7") as turn:
            await turn.drain()
        assert (turn.user.text, turn.user.parent_seq) == (text, 2)
    assert await said(chat) == ["on", "answer", "pear", "answer"]
    assert len(provider.calls) == 4
    assert (await chat.message("7")).text == "pear"
    assert (await chat.message("6")).seq == 1
    assert (await chat.message(3)).text == "plumm"
    for verb in (chat.message, chat.forget, chat.switch):
        with pytest.raises(MessageNotFoundError, match="no message 8"):
            await verb("8")
    with pytest.raises(MessageNotFoundError):
        async with chat.edit("8", "never seen"):
            raise AssertionError
    assert (await chat.send("plumm", idempotency_key="7")).seq == 4  # the first one, told again


@pytest.mark.asyncio
async def test_forget_by_the_platforms_own_id_takes_every_wording(
    store: Store, provider: ScriptedProvider, watch: Watch
) -> None:
    """Also of before a reset; a repeat of it asks nothing; and no other message begins so."""
    provider.otherwise = ("answer", Finished())
    chat = await store.get_or_create(OLD)
    await chat.send("plumm", idempotency_key="7")
    async with chat.edit("7", "plum") as turn:
        await turn.drain()
    await chat.send("pear", idempotency_key="71")
    await chat.reset()
    assert await chat.forget("7")
    assert not await chat.forget("7")
    texts = rows(watch.path, "SELECT text FROM message WHERE role = 'user' ORDER BY seq")
    assert texts == [("",), ("",), ("pear",)]
    calls = len(provider.calls)
    assert (await chat.send("plumm", idempotency_key="7")).text == "answer"
    assert len(provider.calls) == calls
    with pytest.raises(MessageNotFoundError, match="was set aside"):
        await chat.message("71")


@pytest.mark.asyncio
async def test_question_forgotten_before_it_was_answered_is_not_asked_again(
    store: Store, provider: ScriptedProvider
) -> None:
    """There is nothing left to ask, and nothing to return."""
    provider.script(Fail(ProviderConnectError("down", provider="scripted")))
    chat = await store.get_or_create(OLD)
    await chat.append(keyed("plum", "7"))
    await chat.forget("7")
    with pytest.raises(MessageNotFoundError, match="was forgotten before"):
        await chat.send("plum", idempotency_key="7")


@pytest.mark.asyncio
async def test_failed_call_lets_the_next_question_of_its_room_go_on(
    store: Store, provider: ScriptedProvider
) -> None:
    """Who waited is not told of it; both questions are sent, for neither was answered."""
    gate = provider.gate("running")
    provider.script(gate, BROKEN)
    provider.answer("two")
    first = asyncio.create_task((await store.get_or_create(OLD)).send("first"))
    await gate.arrive()
    second = asyncio.create_task((await store.get_or_create(OLD)).send("second"))
    await asyncio.sleep(0.01)
    gate.open()
    with pytest.raises(ProviderConnectError):
        await first
    assert (await second).text == "two"
    assert asked(provider) == ["first\n\nsecond"]


@pytest.mark.asyncio
async def test_rooms_whose_answers_were_lost_are_renamed_and_reset_once(store: Store) -> None:
    """Run again, each finds what the first try has made."""
    chat = await store.get_or_create(OLD)
    await chat.append(Message.user("q"))
    fresh = await store.get_or_create(NEW)
    database, owner_id = await store._owned.for_writing()

    def twice(tx: Tx, owner_id: str, jobs: Sequence[Any]) -> list[Any]:
        function: Any = rename_keys if isinstance(jobs[0], RenameKey) else reset_conversations
        function(tx, owner_id, jobs)
        outcome: list[Any] = function(Tx(tx.cursor, tx.dialect, again=True), owner_id, jobs)
        return outcome

    assert await database.write(twice, owner_id, RenameKey(old=OLD, new=NEW))
    job = Reset(
        conversation_id=chat.id, id="new", system_id="s", anonymous_user_id="anon", now_ms=1
    )
    assert await database.write(twice, owner_id, job) == "new"
    assert {one.id for one in (await store.list()).items} == {chat.id, "new"}
    assert [one.id for one in (await store.list(deleted=True)).items] == [fresh.id]


@pytest.mark.asyncio
async def test_renamed_room_comes_back_from_an_export_with_its_repeats(
    store: Store, provider: ScriptedProvider, tmp_path: Any
) -> None:
    """In another store the same message is not asked again, whichever key it was asked under."""
    provider.answer("stored")
    await (await store.get_or_create(OLD)).send("q", idempotency_key="1", author="Ann")
    await store.rename_key(OLD, NEW)
    path = tmp_path / "out.jsonl"
    await store.export(to=path)
    elsewhere = convostore.open(tmp_path / "other.db", provider=provider)
    async with elsewhere:
        async for _ in elsewhere.import_(path):
            pass
        again = await (await elsewhere.get_or_create(NEW)).send("q", idempotency_key="1")
        assert again.text == "stored"
        (found,) = [one for one in await (await elsewhere.resume("@")).history() if one.author]
        assert (found.author, found.author_id) == ("Ann", "Ann")
