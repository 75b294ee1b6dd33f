"""Forgetting one message: it is empty, the tree around it stands, and no model is told it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from convostore import Message, revising
from convostore.errors import (
    ConversationBusyError,
    ConversationNotFoundError,
    MessageNotFoundError,
    NotFoundError,
    ProviderConnectError,
)
from convostore.events import Finished, RemoteUpdate
from convostore.records import RemoteThread
from convostore.storage.forgetting import Forget, forget_messages
from convostore.storage.statements import Tx
from convostore.testing import Fail
from convostore.turning import handing, opening
from tests.engines import change, rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from watching import Watch  # type: ignore[import-not-found] # pytest puts this folder on the path

    from convostore import Conversation, Store
    from convostore.testing import ManualClock, ScriptedProvider


def told(provider: ScriptedProvider) -> list[tuple[str, str]]:
    """Return what the last call was sent."""
    return [(one.role, one.text) for one in provider.requests[-1].messages]


@pytest.mark.asyncio
async def test_forgotten_message_is_empty_and_the_tree_stands(store: Store, watch: Watch) -> None:
    """Text, author and search words go; id, parent, place, hash and what hangs below it stay."""
    chat = await store.create(title="kept title")
    secret = Message.user("my secret is plum", author="ann")
    await chat.append(Message.user("q"), Message.assistant("a"), secret, Message.assistant("noted"))
    await store.search("plum")
    before = await chat.messages()
    head, last_seq = chat.record.head_seq, chat.record.last_seq
    assert await chat.forget(3)
    after = await chat.messages()
    gone = after[2]
    assert (gone.status, gone.text, gone.parts, gone.author) == ("erased", "", (), None)
    for name in ("id", "parent_id", "seq", "role", "content_hash", "created_at_ms"):
        assert getattr(gone, name) == getattr(before[2], name)
    assert [after[at] for at in (0, 1, 3)] == [before[at] for at in (0, 1, 3)]
    assert (chat.record.head_seq, chat.record.message_count) == (head, 4)
    assert chat.record.last_seq == last_seq + 1
    assert chat.record.title == "kept title"
    assert (await store.search("plum")).items == ()
    assert [one.seq for one in (await store.search("noted")).items] == [4]
    report = await store.check(deep=True)
    assert (report.problems, [one for one in report.remarks if "index" in one]) == ((), [])
    await store.reindex()
    assert (await store.search("plum")).items == ()
    assert not await chat.forget(secret.id)  # said again
    assert chat.record.last_seq == last_seq + 1


@pytest.mark.asyncio
async def test_open_conversation_sends_nothing_of_what_another_forgot(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Not from the path that it has kept, nor by going on with what the far side keeps."""
    thread = RemoteThread(server_url="https://far", dialect="x", remote_id="r1")
    provider.script(RemoteUpdate(thread), "noted", Finished())
    provider.script("fine", Finished())
    await chat.send("the secret is plum")
    other = await store.resume(chat.id)
    assert await other.forget(1)
    assert await other.forget(2)
    assert other.record.title is None  # it was the first line of what was forgotten
    await chat.send("and now?")
    assert told(provider) == [("user", "and now?")]
    assert provider.requests[-1].remote is None
    assert [one.status for one in await chat.history()] == ["erased", "erased"] + ["completed"] * 2
    provider.script("again", Finished())
    await other.send("on a branch")
    assert told(provider) == [("user", "on a branch")]
    assert (await store.find(chat.id)).title == "on a branch"


@pytest.mark.asyncio
async def test_far_side_is_gone_on_with_where_nothing_was_forgotten(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """What stands above what was forgotten keeps its remote thread; what follows it does not."""
    for number in (1, 2):
        thread = RemoteThread(server_url="https://far", dialect="x", remote_id=f"r{number}")
        provider.script(RemoteUpdate(thread), f"answer {number}", Finished())
        await chat.send(f"question {number}")
    assert await chat.forget(3)
    await chat.switch(2, exactly=True)
    provider.script("third", Finished())
    await chat.send("question 3")
    remote = provider.requests[-1].remote
    assert remote is not None
    assert remote.remote_id == "r1"
    await chat.switch(4, exactly=True)
    provider.script("fourth", Finished())
    await chat.send("question 4")
    assert provider.requests[-1].remote is None
    assert told(provider)[1:] == [
        ("assistant", "answer 1\n\nanswer 2"),
        ("user", "question 4"),
    ]


@pytest.mark.asyncio
async def test_running_reply_is_not_forgotten_and_a_dead_one_is(
    store: Store, chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """Its journal goes too; the writer, should it come back, is told, and stores nothing."""
    provider.script("plum", provider.gate("rest"), " late", Finished())
    async with chat.stream("Hi") as turn:
        await anext(turn)
        other = await store.resume(chat.id)
        for number in (1, 2):
            with pytest.raises(ConversationBusyError, match="still being written"):
                await other.forget(number)
        change(watch.path, "UPDATE message SET lease = 'x|x|x|1|1|0' WHERE status = 'streaming'")
        assert await other.forget(2)
        provider.gate("rest").open()
        with pytest.raises(NotFoundError, match="forgotten while it ran"):
            await turn.drain()
    assert watch.journal() == []
    assert [row[3:] for row in watch.messages()] == [("completed", "Hi"), ("erased", "")]
    assert (await store.find(chat.id)).interrupted_count == 0
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
@pytest.mark.parametrize("way", ["send", "regenerate", "edit", "repeat"])
@pytest.mark.parametrize("by", ["another object", "the same object"])
async def test_what_is_forgotten_while_a_turn_begins_goes_to_no_model(
    store: Store,
    chat: Conversation,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    *,
    way: str,
    by: str,
) -> None:
    """Between the reading and the first write: it is noticed, and what is sent is read again."""
    long = "plum" + " and more" * 4_000  # than an open conversation keeps
    provider.answer("noted")
    provider.script(Fail(ProviderConnectError("no", provider="scripted")))
    provider.answer("two")
    await chat.send(long)
    with pytest.raises(ProviderConnectError):
        await chat.send("and now?", idempotency_key="once")
    other = chat if by == "the same object" else await store.resume(chat.id)
    check, left = handing.checked_request, [way == "repeat"]  # that one is known at the second look

    async def forgetting(*request: Any) -> None:
        await check(*request)
        if not (left and left.pop()):
            await other.forget(1)

    for module in (opening, revising):
        monkeypatch.setattr(module, "checked_request", forgetting)
    if way == "send":
        await chat.send("and then?")
    elif way == "repeat":
        await chat.send("and now?", idempotency_key="once")
    else:
        turn = chat.regenerate() if way == "regenerate" else chat.edit(3, "and else?")
        async with turn:
            await turn.drain()
    assert "and" in str(told(provider))
    assert "plum" not in str(told(provider))


@pytest.mark.asyncio
@pytest.mark.parametrize("adopted", [False, True])
async def test_writer_who_comes_back_does_not_lead_to_what_was_forgotten(
    store: Store,
    chat: Conversation,
    provider: ScriptedProvider,
    watch: Watch,
    manual: ManualClock,
    adopted: bool,
) -> None:
    """Its text is kept, as the reply or beside it; what the far side has of it is not gone on with."""
    thread = RemoteThread(server_url="https://far", dialect="x", remote_id="r1")
    provider.script(RemoteUpdate(thread), "noted", provider.gate("rest"), " late", Finished())
    provider.answer("fine")
    async with chat.stream("plum") as turn:
        await anext(turn)
        other = await store.resume(chat.id)
        ((lease,),) = rows(watch.path, "SELECT lease FROM message WHERE status = 'streaming'")
        dead = lease.partition("|")[0] + "|x|x|1|1|0"
        change(watch.path, "UPDATE message SET lease = ? WHERE status = 'streaming'", dead)
        assert await other.forget(1)
        if adopted:
            await other.append(Message.user("beside it"))
        provider.gate("rest").open()
        reply = await turn.drain()
    assert reply.text == "noted late"
    await chat.send("and now?")
    assert "plum" not in str(told(provider))
    assert provider.requests[-1].remote is None


@pytest.mark.asyncio
async def test_forgotten_question_is_not_asked_again(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """There is nothing left to ask; in other words it can be."""
    provider.answer("one")
    provider.answer("two")
    await chat.send("plum?")
    await chat.forget(1)
    with pytest.raises(MessageNotFoundError, match="the question, was erased") as caught:
        async with chat.regenerate():
            raise AssertionError
    assert "convostore edit REF 1" in caught.value.hint
    async with chat.edit(1, "pear?") as turn:
        await turn.drain()
    assert told(provider) == [("user", "pear?")]


@pytest.mark.asyncio
async def test_append_with_the_key_of_what_was_forgotten_says_so(chat: Conversation) -> None:
    """Whatever the repeat says: nothing is stored."""
    noted = msgspec.structs.replace(Message.user("pear"), idempotency_key="2")
    await chat.append(noted, Message.assistant("noted"))
    await chat.forget(1)
    for text in ("pear", "another"):
        again = msgspec.structs.replace(Message.user(text), idempotency_key="2")
        with pytest.raises(MessageNotFoundError, match="message 1, stored with this key, was"):
            await chat.append(again, Message.assistant("noted"))
    assert len(await chat.messages()) == 2


@pytest.mark.asyncio
async def test_fork_and_export_of_a_forgotten_message_are_empty_too(store: Store) -> None:
    """A copy that is made afterwards has nothing of it, and is sound."""
    chat = await store.create(title="one")
    await chat.append(Message.user("plum"), Message.assistant("a"))
    await chat.forget(1)
    forked = await chat.fork()
    assert [(one.status, one.text) for one in await forked.history()] == [
        ("erased", ""),
        ("completed", "a"),
    ]
    text = "".join([piece async for piece in await store.export(chat.id)])  # type: ignore[union-attr] # without `to` it yields text
    assert "plum" not in text
    assert '"erased"' in text
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_what_cannot_be_forgotten_is_refused(store: Store) -> None:
    """No such message, a conversation in the bin or of somebody else."""
    chat = await store.create(title="one")
    await chat.append(Message.user("q"))
    for which in (7, "nobody"):
        with pytest.raises(MessageNotFoundError):
            await chat.forget(which)
    await chat.delete()
    with pytest.raises(ConversationNotFoundError, match="in the bin"):
        await chat.forget(1)


@pytest.mark.asyncio
async def test_forgetting_whose_answer_was_lost_counts_as_made(store: Store) -> None:
    """Run again, it finds the message empty, and says that it was this job that did it."""
    chat = await store.create(title="one")
    await chat.append(Message.user("plum"))
    database, owner_id = await store._owned.for_writing()
    job = Forget(conversation_id=chat.id, message_seq=1, now_ms=0)

    def twice(tx: Tx, owner_id: str, jobs: Sequence[Forget]) -> list[Any]:
        forget_messages(tx, owner_id, jobs)
        return forget_messages(Tx(tx.cursor, tx.dialect, again=True), owner_id, jobs)

    assert (await database.write(twice, owner_id, job)).changed
    assert not (await database.write(forget_messages, owner_id, job)).changed
