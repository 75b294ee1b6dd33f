"""Branches: another answer, other words, the way back to either, and a way out of both."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore import Message
from convostore.errors import (
    ConversationBusyError,
    HeadMovedError,
    InvalidTextError,
    MessageNotFoundError,
    ProviderConnectError,
    TurnStateError,
)
from convostore.events import Finished, RemoteUpdate
from convostore.records import RemoteThread, Usage
from tests.engines import rows
from tests.turn.talking import BROKEN, REMOTE, asked, said

if TYPE_CHECKING:
    from convostore import Conversation, Store
    from convostore.testing import ScriptedProvider
    from tests.engines import Where


async def talk(chat: Conversation, provider: ScriptedProvider, *pairs: str) -> None:
    """Ask and answer: question, answer, question, answer ..."""
    for question, answer in zip(pairs[::2], pairs[1::2], strict=True):
        provider.answer(answer)
        await chat.send(question)


async def again(chat: Conversation, provider: ScriptedProvider, answer: str, **how: int) -> Message:
    """Let the newest question, or that of message *at*, be answered again."""
    provider.answer(answer)
    async with chat.regenerate(how.get("at")) as turn:
        return await turn.drain()


@pytest.mark.asyncio
async def test_regenerate_makes_a_sibling_answer_and_keeps_the_first(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """The new answer is the head, the model is asked what it was asked, the first one stays."""
    await talk(chat, provider, "q1", "a1", "q2", "a2")
    reply = await again(chat, provider, "a2 better")
    assert asked(provider) == ["q1", "a1", "q2"]
    assert await said(chat) == ["q1", "a1", "q2", "a2 better"]
    assert [one.text for one in await chat.siblings()] == ["a2", "a2 better"]
    tree = await chat.tree()
    assert tree.position(reply) == (2, 2)
    resumed = await store.resume(chat.handle)
    assert await said(resumed) == ["q1", "a1", "q2", "a2 better"]
    assert resumed.record.message_count == 5


@pytest.mark.asyncio
async def test_regenerate_of_an_earlier_answer_leaves_what_followed_on_its_branch(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Any question can be answered again, named by itself or by an answer, by number or id."""
    await talk(chat, provider, "q1", "a1", "q2", "a2")
    first = (await chat.history())[1]
    await again(chat, provider, "a1 new", at=first.seq)
    assert asked(provider) == ["q1"]
    assert await said(chat) == ["q1", "a1 new"]
    provider.answer("a1 third")
    async with chat.regenerate(first.id) as turn:
        assert turn.user.text == "q1"
        await turn.drain()
    assert [one.text for one in await chat.siblings()] == ["a1", "a1 new", "a1 third"]
    assert [branch.leaf.text for branch in await chat.branches()] == ["a2", "a1 new", "a1 third"]


@pytest.mark.asyncio
async def test_edit_asks_in_other_words_beside_the_first_ones(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """A sibling of the question with an answer of its own; a first question becomes a second root."""
    await talk(chat, provider, "q1", "a1", "q2", "a2")
    second = (await chat.history())[2]
    provider.answer("b2")
    async with chat.edit(second.id, "q2 in other words") as turn:
        await turn.drain()
    assert asked(provider) == ["q1", "a1", "q2 in other words"]
    assert await said(chat) == ["q1", "a1", "q2 in other words", "b2"]
    provider.answer("c1")
    async with chat.edit(1, "q1 in other words") as turn:
        await turn.drain()
    assert asked(provider) == ["q1 in other words"]
    assert [one.text for one in (await chat.tree()).roots] == ["q1", "q1 in other words"]
    assert [one.text for one in await chat.siblings(1)] == ["q1", "q1 in other words"]
    await talk(chat, provider, "go on", "c2")
    assert await said(chat) == ["q1 in other words", "c1", "go on", "c2"]


@pytest.mark.asyncio
async def test_switch_goes_to_the_newest_message_of_a_branch_for_everybody(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Any message of the branch names it; who resumes stands there too; nothing is written else."""
    await talk(chat, provider, "q1", "a1", "q2", "a2")
    await again(chat, provider, "a1 new", at=1)
    before = (await store.resume(chat.id)).record
    head = await chat.switch(2)
    assert head.text == "a2"
    assert await said(chat) == ["q1", "a1", "q2", "a2"]
    resumed = await store.resume(chat.id)
    assert await said(resumed) == ["q1", "a1", "q2", "a2"]
    assert resumed.record.updated_at_ms == before.updated_at_ms
    await talk(resumed, provider, "q3", "a3")
    assert await said(resumed) == ["q1", "a1", "q2", "a2", "q3", "a3"]


@pytest.mark.asyncio
async def test_switch_exactly_stands_at_the_message_and_goes_on_from_there(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """What followed becomes another branch."""
    await talk(chat, provider, "q1", "a1", "q2", "a2")
    await chat.switch(2, exactly=True)
    assert await said(chat) == ["q1", "a1"]
    await talk(chat, provider, "other", "b2")
    assert await said(chat) == ["q1", "a1", "other", "b2"]
    assert [branch.begins.text for branch in await chat.branches()] == ["q2", "other"]


@pytest.mark.asyncio
async def test_turn_goes_on_from_the_far_sides_message_of_its_branch(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """The remote thread is that of the reply above the new message, on whichever branch."""
    for letter in "AB":
        remote = RemoteThread(
            server_url="http://far", dialect="threads", remote_id=f"msg_{letter}", same_text=True
        )
        provider.script(RemoteUpdate(remote), f"a{letter}", Finished(remote=remote))
        await chat.send(f"q{letter}")
    provider.answer("again")
    async with chat.regenerate() as turn:
        await turn.drain()
    assert provider.requests[-1].remote is not None
    assert provider.requests[-1].remote.remote_id == "msg_A"
    await chat.switch(4)
    assert chat.parent_id == "msg_B"
    await chat.switch(1, exactly=True)
    assert chat.parent_id is None


@pytest.mark.asyncio
async def test_fork_is_a_conversation_of_its_own(
    path: Where, store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Copies up to a message, new ids, the same hashes; what is said there is not said here."""
    remote = RemoteThread(
        server_url="http://far", dialect="threads", remote_id="msg_B", same_text=True
    )
    usage = Usage(input_tokens=3, output_tokens=4)
    provider.script(RemoteUpdate(remote), "a1", Finished(usage=usage, remote=remote))
    await chat.send("q1", idempotency_key="k1")
    await talk(chat, provider, "q2", "a2")
    for verb in (chat.tag("travel", "food"), chat.move("work"), chat.pin()):
        await verb
    other = await chat.fork(2, title="A fork")
    assert (other.record.tags, other.record.folder) == (("food", "travel"), "work")
    assert not other.record.pinned
    assert await said(other) == ["q1", "a1"]
    assert (other.title, other.record.source, other.record.source_id) == ("A fork", "fork", chat.id)
    assert other.handle != chat.handle
    assert other.anonymous_user_id != chat.anonymous_user_id
    ours, theirs = (await chat.history())[:2], await other.history()
    assert not {one.id for one in ours} & {one.id for one in theirs}
    for name in ("content_hash", "created_at_ms", "model", "provider", "status"):
        assert [getattr(a, name) for a in ours] == [getattr(b, name) for b in theirs]
    await talk(other, provider, "q3", "b3")
    assert provider.requests[-1].remote is None
    assert await said(await store.resume(other.id)) == ["q1", "a1", "q3", "b3"]
    assert await said(chat) == ["q1", "a1", "q2", "a2"]
    assert rows(path, "SELECT input_tokens FROM usage WHERE input_tokens > 0") == [(3,)]
    assert not (await store.check(deep=True)).problems


@pytest.mark.asyncio
async def test_fork_copies_one_branch_alone_and_its_last_message_without_being_told(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Siblings stay behind; numbers are dense; the title is the same."""
    await talk(chat, provider, "q1", "a1", "q2", "a2")
    await again(chat, provider, "a1 new", at=1)
    await talk(chat, provider, "q3", "a3")
    other = await chat.fork()
    assert [(one.seq, one.text) for one in await other.messages()] == [
        (1, "q1"),
        (2, "a1 new"),
        (3, "q3"),
        (4, "a3"),
    ]
    assert other.title == chat.title == "q1"


@pytest.mark.asyncio
async def test_delete_branch_removes_it_for_good_and_stands_beside_it(
    path: Where, store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Messages, remote threads and journals go, the cost stays, the head is on what is left."""
    await talk(chat, provider, "q1", "a1", "q2", "a2")
    usage = Usage(input_tokens=3)
    provider.script(RemoteUpdate(REMOTE), "a1 new", Finished(usage=usage, remote=REMOTE))
    async with chat.regenerate(1) as turn:
        await turn.drain()
    await talk(chat, provider, "q3 canary", "a3 canary")
    assert await chat.delete_branch(5) == 3
    assert await said(chat) == ["q1", "a1", "q2", "a2"]
    resumed = await store.resume(chat.id)
    assert await said(resumed) == ["q1", "a1", "q2", "a2"]
    assert resumed.record.message_count == 4
    assert rows(path, "SELECT count(*) FROM remote_thread") == [(0,)]
    assert rows(path, "SELECT input_tokens FROM usage WHERE input_tokens > 0") == [(3,)]
    assert not (await store.check(deep=True)).problems
    await talk(chat, provider, "q4", "a4")
    assert [one.seq for one in await chat.history()] == [
        1,
        2,
        3,
        4,
        9,
        10,
    ]  # no number is given twice, and the removal has taken one


@pytest.mark.asyncio
async def test_delete_branch_elsewhere_leaves_the_caller_where_it_stands(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Only who stood on the branch moves; a whole tree may go; then the conversation is empty."""
    await talk(chat, provider, "q1", "a1")
    await again(chat, provider, "a1 new")
    other = await store.resume(chat.id)
    await other.switch(2)
    assert await other.delete_branch(3) == 1
    assert await said(other) == ["q1", "a1"]
    with pytest.raises(MessageNotFoundError, match="gone"):
        await chat.history()
    with pytest.raises(MessageNotFoundError, match="gone"):
        await chat.send("anybody?")
    assert await other.delete_branch(1) == 2
    assert await said(other) == []
    assert other.record.head_seq is None
    await talk(other, provider, "q2", "a2")
    assert await said(await store.resume(chat.id)) == ["q2", "a2"]


@pytest.mark.asyncio
async def test_what_is_not_there_is_refused_by_name(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Unknown numbers and ids, an answer that is to be edited, nothing to answer, an empty text."""
    with pytest.raises(MessageNotFoundError, match="no question"):
        async with chat.regenerate():
            pass
    with pytest.raises(MessageNotFoundError, match="no message to copy yet"):
        await chat.fork()
    await talk(chat, provider, "q1", "a1")
    for nothing in (99, 0, -1, 2**40, "no-such-id", ""):
        for act in (chat.switch, chat.delete_branch, chat.fork, chat.siblings):
            with pytest.raises(MessageNotFoundError, match="no message"):
                await act(nothing)
        with pytest.raises(MessageNotFoundError, match="no message"):
            async with chat.edit(nothing, "words"):
                pass
    with pytest.raises(MessageNotFoundError, match="its role is assistant"):
        async with chat.edit(2, "words"):
            pass
    with pytest.raises(InvalidTextError, match="empty"):
        async with chat.edit(1, ""):
            pass
    assert await said(chat) == ["q1", "a1"]


@pytest.mark.asyncio
async def test_a_store_without_provider_has_nobody_to_ask_again(path: Where) -> None:
    """A mistake in the caller's code stands outside of the error tree."""
    async with convostore.open(path) as store:
        chat = await store.create()
        await chat.append(Message.user("q1"))
        with pytest.raises(TurnStateError, match="no provider"):
            chat.regenerate()
        with pytest.raises(TurnStateError, match="no provider"):
            chat.edit(1, "words")


@pytest.mark.asyncio
async def test_moved_head_is_left_followed_or_refused(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Where somebody went on meanwhile, a new answer is a branch beside, unless told otherwise."""
    await talk(chat, provider, "q1", "a1")
    other = await store.resume(chat.id)
    await talk(other, provider, "q2", "a2")
    provider.answer("a1 new")
    async with chat.regenerate() as turn:
        await turn.drain()
    assert turn.branched
    assert await said(chat) == ["q1", "a1 new"]
    assert await said(await store.resume(chat.id)) == ["q1", "a1", "q2", "a2"]
    with pytest.raises(HeadMovedError):
        async with chat.edit(1, "words", on_moved="error"):
            pass
    provider.answer("a2 new")
    async with chat.regenerate(on_moved="follow") as turn:
        assert turn.user.text == "q2"
        await turn.drain()
    assert await said(await store.resume(chat.id)) == ["q1", "a1", "q2", "a2 new"]


@pytest.mark.asyncio
async def test_conversation_with_a_key_answers_again_one_turn_at_a_time(
    store: Store, provider: ScriptedProvider
) -> None:
    """A second answer waits for the first one, and both are siblings of the same question."""
    room = await store.get_or_create("room")
    await talk(room, provider, "q1", "a1")
    gate = provider.gate("first")
    provider.script("a1 ", gate, "second", Finished())
    provider.answer("a1 third")
    async with room.regenerate() as turn:
        await anext(turn)
        with pytest.raises(ConversationBusyError):
            async with room.regenerate(wait_s=0):
                pass
        waiting = asyncio.create_task(again_in(room))
        gate.open()
        await turn.drain()
    assert (await waiting).text == "a1 third"
    assert [one.text for one in await room.siblings()] == ["a1", "a1 second", "a1 third"]


async def again_in(room: Conversation) -> Message:
    """Answer again, waiting for those before."""
    async with room.regenerate() as turn:
        return await turn.drain()


@pytest.mark.asyncio
async def test_regenerate_retries_what_failed_and_asks_the_far_side_first(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """A whole answer that the far side had kept is taken instead of asking again."""
    provider.script(RemoteUpdate(REMOTE), "hal", BROKEN)
    with pytest.raises(ProviderConnectError):
        await chat.send("q1")
    provider.recovery = None
    assert (await again(chat, provider, "whole")).text == "whole"
    provider.script(RemoteUpdate(REMOTE), "hal", BROKEN)
    with pytest.raises(ProviderConnectError):
        await chat.send("q2")
    provider.recovery = Finished(text="half and the rest")
    calls = len(provider.requests)
    async with chat.regenerate() as turn:
        assert (await turn.drain()).text == "half and the rest"
    assert len(provider.requests) == calls
    assert await said(chat) == ["q1", "whole", "q2", "half and the rest"]


@pytest.mark.asyncio
async def test_running_reply_is_neither_removed_nor_copied(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Whoever wants to has to stop it first; a question above it can be answered beside it."""
    await talk(chat, provider, "q1", "a1")
    gate = provider.gate("half")
    provider.script("a2 ", gate, "end", Finished())
    other = await store.resume(chat.id)
    async with chat.stream("q2") as turn:
        await anext(turn)
        for act in (other.delete_branch(3), (await store.resume(chat.id)).fork()):
            with pytest.raises(ConversationBusyError, match="running"):
                await act
        beside = await again(other, provider, "a1 beside", at=1)
        gate.open()
        await turn.drain()
    assert await said(chat) == ["q1", "a1", "q2", "a2 end"]
    assert beside.status == "completed"
