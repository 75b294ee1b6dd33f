"""Who may write when: running replies, moved heads, idempotency keys, writers taken for dead."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore import errors
from convostore.events import Finished, RemoteUpdate
from convostore.testing import Fail, ScriptedProvider, Silence, temporary_store
from tests.engines import place
from tests.turn.reading import change, journaled, replies, rows
from tests.turn.talking import REMOTE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines import Where

DEAD = "othertokenothert|-|-|1|1|0"


@pytest.mark.asyncio
async def test_question_under_a_running_reply_is_refused_and_not_stored() -> None:
    """A second caller at the same head is told to wait, at once, without a wait_s."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        gate = provider.gate("running")
        provider.script("one", gate, Finished())
        sending = asyncio.create_task(chat.send("first"))
        await gate.arrive()
        other = await store.resume(chat.id)
        with pytest.raises(errors.ConversationBusyError):
            await other.send("second")
        gate.open()
        await sending
        assert rows(place(store), "SELECT count(*) FROM message") == [(2,)]


@pytest.mark.asyncio
async def test_question_waits_for_a_running_reply_when_told_to() -> None:
    """With wait_s the second question is asked once the first answer has ended, below it."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        gate = provider.gate("running")
        provider.script("one", gate, Finished())
        provider.answer("two")
        sending = asyncio.create_task(chat.send("first"))
        await gate.arrive()
        other = await store.resume(chat.id)
        waiting = asyncio.create_task(other.send("second", wait_s=30))
        await asyncio.sleep(0.05)  # so that it has met the running reply at least once
        gate.open()
        await sending
        await waiting
        texts = [message.text for message in await other.history()]
        assert texts == ["first", "one", "second", "two"]


@pytest.mark.asyncio
async def test_a_room_has_one_turn_at_a_time_whoever_asks_from_where(path: Where) -> None:
    """Another process may not branch off beside a running reply, as it may without a key."""
    provider = ScriptedProvider()
    async with (
        convostore.open(path, provider=provider) as store,
        convostore.open(path, provider=provider) as elsewhere,
    ):
        for key in ("room:1", None):
            provider.answer("hello")
            chat = await store.create(key=key)
            await chat.send("hi")
            other = await elsewhere.resume(chat.id)
            gate = provider.gate(f"running {key}")
            provider.script("one", gate, Finished())
            asking = asyncio.create_task(chat.send("first"))
            await gate.arrive()
            beside = other.send("second", on_moved="branch", wait_s=0)
            if key is None:
                provider.answer("two")
                assert (await beside).text == "two"
            else:
                with pytest.raises(errors.ConversationBusyError):
                    await beside
            gate.open()
            assert (await asking).text == "one"


@pytest.mark.asyncio
async def test_questions_of_a_room_are_asked_in_the_order_in_which_they_came() -> None:
    """Who came late does not overtake who waits for long and looks less often by now."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create(key="room:1")
        gate = provider.gate("running")
        provider.script("one", gate, Finished())
        provider.answer("two")
        provider.answer("three")
        asking = [asyncio.create_task(chat.send("first"))]
        await gate.arrive()
        for text, pause_s in (("second", 0.5), ("third", 0.03)):
            other = await store.get_or_create("room:1")
            asking.append(asyncio.create_task(other.send(text)))
            await asyncio.sleep(pause_s)
        gate.open()
        await asyncio.gather(*asking)
        texts = [message.text for message in await (await store.resume(chat.id)).history()]
        assert texts == ["first", "one", "second", "two", "third", "three"]
        assert [one.text for one in provider.requests[1].messages] == ["first", "one", "second"]


@pytest.mark.asyncio
async def test_conversation_with_a_key_answers_in_the_order_asked() -> None:
    """Ten questions at once in one room are answered one after the other, in one line."""
    provider = ScriptedProvider()
    provider.otherwise = ("answer", Finished())
    async with temporary_store(provider) as store:

        async def ask(number: int) -> None:
            chat = await store.get_or_create("room:1")
            await chat.send(f"question {number}")

        await asyncio.gather(*(ask(number) for number in range(10)))
        path = await (await store.resume("room:1")).history()
        assert len(path) == 20
        asked = [message.text for message in path if message.role == "user"]
        assert sorted(asked) == sorted(f"question {number}" for number in range(10))
        assert [len(request.messages) for request in provider.requests] == list(range(1, 20, 2))


@pytest.mark.asyncio
async def test_moved_head_makes_a_branch_on_which_the_caller_stays() -> None:
    """Two callers from one head: the second goes on beside the first, and nothing is lost."""
    provider = ScriptedProvider()
    provider.otherwise = ("answer", Finished())
    async with temporary_store(provider) as store:
        chat = await store.create()
        await chat.send("root")
        mine, theirs = await store.resume(chat.id), await store.resume(chat.id)
        await theirs.send("theirs")
        async with mine.stream("mine") as turn:
            await turn.drain()
        assert turn.branched
        assert [one.text for one in await mine.history()] == ["root", "answer", "mine", "answer"]
        stored = await (await store.resume(chat.id)).history()
        assert [one.text for one in stored] == ["root", "answer", "theirs", "answer"]
        assert len(await mine.messages()) == 6


@pytest.mark.asyncio
async def test_moved_head_can_be_followed_or_refused() -> None:
    """`on_moved` decides: "follow" goes on below the new head, "error" stores nothing."""
    provider = ScriptedProvider()
    provider.otherwise = ("answer", Finished())
    async with temporary_store(provider) as store:
        chat = await store.create()
        await chat.send("root")
        one, two = await store.resume(chat.id), await store.resume(chat.id)
        await chat.send("newer")
        with pytest.raises(errors.HeadMovedError):
            await one.send("no", on_moved="error")
        await two.send("yes", on_moved="follow")
        assert [m.text for m in await two.history()][-4:] == ["newer", "answer", "yes", "answer"]
        assert [m.text for m in provider.requests[-1].messages][-3:] == ["newer", "answer", "yes"]


@pytest.mark.asyncio
async def test_append_with_another_expected_head_stores_nothing() -> None:
    """An append that insists on a head that moved is refused whole."""
    async with temporary_store(ScriptedProvider()) as store:
        chat = await store.create()
        (first,) = await chat.append(convostore.Message.user("first"))
        await chat.append(convostore.Message.assistant("second"))
        with pytest.raises(errors.HeadMovedError):
            await chat.append(convostore.Message.user("late"), expected_head=first.id)
        assert [message.text for message in await chat.history()] == ["first", "second"]


@pytest.mark.asyncio
async def test_repeat_with_the_same_key_asks_only_once() -> None:
    """A completed answer is returned as it is stored; the model is not called again."""
    provider = ScriptedProvider()
    provider.answer("only once")
    async with temporary_store(provider) as store:
        chat = await store.get_or_create("room:1")
        first = await chat.send("question", idempotency_key="7")
        again = await (await store.get_or_create("room:1")).send("question", idempotency_key="7")
        assert (again.id, again.text) == (first.id, "only once")
        assert len(provider.requests) == 1
        with pytest.raises(errors.DuplicateKeyError):
            await chat.send("another question", idempotency_key="7")


@pytest.mark.asyncio
async def test_repeat_while_the_reply_runs_follows_it() -> None:
    """The same key during the answer waits for that answer and returns it."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        gate = provider.gate("running")
        provider.script("one ", gate, "two", Finished())
        sending = asyncio.create_task(chat.send("question", idempotency_key="7"))
        await gate.arrive()
        other = await store.resume(chat.id)
        following = asyncio.create_task(other.send("question", idempotency_key="7"))
        await asyncio.sleep(0.05)  # so that it follows the running reply
        gate.open()
        assert (await following).id == (await sending).id
        assert (await following).text == "one two"
        assert len(provider.requests) == 1


@pytest.mark.asyncio
async def test_repeat_after_a_failure_makes_a_new_answer_to_the_same_question() -> None:
    """The same key after a failed answer is the retry: a sibling, and the question once."""
    provider = ScriptedProvider()
    provider.script(Fail(errors.ProviderConnectError("down", provider="scripted")))
    provider.answer("at last")
    async with temporary_store(provider) as store:
        chat = await store.create()
        with pytest.raises(errors.ProviderConnectError):
            await chat.send("question", idempotency_key="7")
        assert (await chat.send("question", idempotency_key="7")).text == "at last"
        assert replies(place(store)) == [("failed", ""), ("completed", "at last")]
        assert [message.text for message in await chat.history()] == ["question", "at last"]
        assert [one.text for one in provider.requests[1].messages] == ["question"]


@pytest.mark.asyncio
async def test_reply_of_a_dead_writer_is_closed_with_its_journal_and_gone_on_from() -> None:
    """A dead lease makes the next question interrupt the reply and go on below its text."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        gate = provider.gate("running")
        provider.script(RemoteUpdate(REMOTE), "half an ", gate, Silence())
        sending = asyncio.create_task(chat.send("question"))
        await gate.arrive()
        while not journaled(place(store)):
            await asyncio.sleep(0.02)  # the tick flushes it in real time
        change(place(store), "UPDATE message SET lease = ? WHERE status = 'streaming'", DEAD)
        other = await store.resume(chat.id)
        assert [message.status for message in await other.history()] == ["completed", "interrupted"]
        provider.answer("the rest")
        await other.send("go on")
        assert [one.text for one in provider.requests[1].messages] == [
            "question",
            "half an ",
            "go on",
        ]
        assert replies(place(store))[0] == ("interrupted", "half an ")
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert ("stopped", "half an ") in replies(place(store))  # the slow writer's text: a sibling


@pytest.mark.asyncio
async def test_writer_taken_for_dead_may_finish_its_reply_once() -> None:
    """A reply closed as interrupted, with nothing below it, is finished by its own writer."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        gate = provider.gate("running")
        provider.script("one ", gate, "two", Finished())
        sending = asyncio.create_task(chat.send("question"))
        await gate.arrive()
        change(place(store), "UPDATE message SET status = 'interrupted' WHERE status = 'streaming'")
        change(place(store), "UPDATE conversation SET interrupted_count = 1")
        gate.open()
        assert (await sending).status == "completed"
        assert replies(place(store)) == [("completed", "one two")]
        assert rows(place(store), "SELECT interrupted_count FROM conversation") == [(0,)]


@pytest.mark.asyncio
async def test_remote_ids_are_on_disk_before_the_first_text_is_shown() -> None:
    """When the first delta is handed out, another process reads the remote thread."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        provider.script(RemoteUpdate(REMOTE), "text", Finished())
        async with chat.stream("question") as turn:
            await anext(turn)
            assert rows(place(store), "SELECT remote_id FROM remote_thread") == [("msg_A",)]
            await turn.drain()
        assert chat.parent_id == "msg_A"
        assert (await store.resume(chat.id)).parent_id == "msg_A"


@pytest.mark.asyncio
async def test_gone_remote_thread_is_asked_for_once_more_without_it() -> None:
    """The far side forgot the thread: the same turn asks again, with the whole history."""
    provider = ScriptedProvider()
    provider.script(RemoteUpdate(REMOTE), "one", Finished())
    provider.script(Fail(errors.RemoteThreadGoneError("gone", provider="scripted", status=400)))
    provider.answer("two")
    async with temporary_store(provider) as store:
        chat = await store.create()
        await chat.send("first")
        assert (await chat.send("second")).text == "two"
        assert [request.remote for request in provider.requests] == [None, REMOTE, None]
        assert [len(request.messages) for request in provider.requests] == [1, 3, 3]


@pytest.mark.asyncio
async def test_broken_stream_that_was_whole_on_the_far_side_is_completed() -> None:
    """After a break the far side is asked; what it has is shown to its end and stored."""
    provider = ScriptedProvider()
    provider.script(
        RemoteUpdate(REMOTE),
        "half ",
        Fail(errors.IncompleteReplyError("cut", provider="scripted")),
    )
    provider.recovery = Finished(text="half and whole")
    async with temporary_store(provider) as store:
        chat = await store.create()
        async with chat.stream("question") as turn:
            shown = [delta.text async for delta in turn]
        assert shown == ["half ", "and whole"]
        assert replies(place(store)) == [("completed", "half and whole")]
        assert provider.recovered == [REMOTE]


@pytest.mark.asyncio
async def test_far_sides_own_word_that_it_failed_is_not_asked_about() -> None:
    """An error with a status was told by the far side itself: no second question."""
    provider = ScriptedProvider()
    provider.script(
        RemoteUpdate(REMOTE),
        "half ",
        Fail(errors.IncompleteReplyError("aborted", provider="scripted", status=200)),
    )
    provider.recovery = Finished(text="half and whole")
    async with temporary_store(provider) as store:
        chat = await store.create()
        with pytest.raises(errors.IncompleteReplyError):
            await chat.send("question")
        assert provider.recovered == []
        assert replies(place(store)) == [("failed", "half ")]


@pytest.mark.asyncio
async def test_reply_broken_by_a_crash_is_fetched_at_the_next_question() -> None:
    """What the far side had kept of an interrupted reply becomes its sibling and the head."""
    provider = ScriptedProvider()
    provider.script(RemoteUpdate(REMOTE), "half ", Finished())
    provider.answer("next")
    async with temporary_store(provider) as store:
        chat = await store.create()
        await chat.send("question")
        change(place(store), "UPDATE message SET status = 'interrupted' WHERE role = 'assistant'")
        provider.recovery = Finished(text="half and whole", remote=REMOTE)
        again = await store.resume(chat.id)
        await again.send("go on")
        assert [message.text for message in await again.history()] == [
            "question",
            "half and whole",
            "go on",
            "next",
        ]
        assert replies(place(store))[0] == ("interrupted", "half ")
        assert provider.requests[1].remote == REMOTE


@pytest.mark.asyncio
async def test_nobody_reaches_another_owners_conversation(tmp_path: Path) -> None:
    """Every verb that takes a reference finds only what belongs to its owner."""
    provider = ScriptedProvider()
    provider.otherwise = ("answer", Finished())
    async with temporary_store(provider) as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(key="room:1")
        await chat.send("secret")
        for ref in (chat.id, chat.handle, chat.handle[:3], "room:1", "@", "@1"):
            with pytest.raises(errors.ConversationNotFoundError):
                await bob.resume(ref)
            with pytest.raises(errors.ConversationNotFoundError):
                await bob.export(ref, to=tmp_path / "stolen.jsonl")
        assert (await bob.list()).items == ()
        assert (await bob.get_or_create("room:1")).id != chat.id
