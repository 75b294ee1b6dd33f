"""Cancelling at every await of every verb: nothing is half stored, nothing runs on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from watching import cancelled_at  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore import Message
from convostore import turn as turn_module
from convostore.errors import ProviderConnectError, ProviderTimeoutError
from convostore.events import Finished, TextDelta
from convostore.testing import Silence
from tests.engines import held
from tests.turn.talking import BROKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from watching import Watch

    from convostore import Conversation, Store
    from convostore.testing import ManualClock, ScriptedProvider
    from tests.engines import Where

MOST_STEPS = 400  # far more than any verb has awaits
LATE = pytest.mark.parametrize("late", [False, True])


async def stream(chat: Conversation) -> None:
    """Read a turn to its end."""
    async with chat.stream("Hi") as turn:
        await turn.drain()


@pytest.mark.asyncio
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("cold", [False, True])
@LATE
async def test_cancel_at_every_await_of_a_turn_leaves_it_whole_or_not_there(
    late: bool, keyed: bool, cold: bool, path: Where, provider: ScriptedProvider, watch: Watch
) -> None:
    """The question is stored with its reply or not at all; no reply stays running; the next goes on.

    Cold: the cancelled turn is also the one that meets the store's first use by its owner.
    """
    provider.otherwise = ("Hel", "lo", Finished())
    store = convostore.open(path, provider=provider)
    ids = []
    for nth in range(1, MOST_STEPS):
        if cold:
            await store.aclose()
            store = convostore.open(path, provider=provider)
        chat = await store.create(key=f"room:{nth}" if keyed else None)
        ids.append(chat.id)
        reached = await cancelled_at(stream(chat), nth, late=late)
        after = await store.resume(chat.id)
        reply = await after.send("After", wait_s=5.0)
        assert (reply.status, reply.text) == ("completed", "Hello")
        if not reached:
            break
    else:
        raise AssertionError("the turn never ended by itself")
    assert len(ids) > 2  # it waits for two writes at least
    await store.aclose()
    for id_ in ids:
        kept = watch.messages(id_)
        assert [seq for seq, *_ in kept] == list(range(1, len(kept) + 1))
        assert [row[2] for row in kept] == ["user", "assistant"] * (len(kept) // 2)
        assert {row[3] for row in kept} <= {"completed", "stopped"}
        # A write that was still on its way when the next turn read its path is a branch beside it.
        assert [row[1] for row in kept] in ([None, 1, 2, 3][: len(kept)], [None, 1, None, 3])
        assert kept[-1][3:] == ("completed", "Hello")
        assert watch.heads()[id_] == (2 if kept[2:] and kept[2][1] is None else kept[-1][0])
    assert watch.journal() == []


@pytest.mark.asyncio
@LATE
async def test_cancel_at_every_await_while_another_branch_is_followed(
    late: bool, path: Where, provider: ScriptedProvider, watch: Watch
) -> None:
    """The reading between write 1 and the request, where the head has moved, is no gap."""
    provider.otherwise = ("Hel", "lo", Finished())
    async with convostore.open(path, provider=provider) as store:
        for nth in range(1, MOST_STEPS):
            chat = await store.create()
            elsewhere = await store.resume(chat.id)
            await elsewhere.append(Message.user("Elsewhere"))

            async def follow(chat: Conversation = chat) -> None:
                await chat.send("Hi", on_moved="follow")

            if not await cancelled_at(follow(), nth, late=late):
                break
    assert "streaming" not in watch.statuses()


@pytest.mark.asyncio
@LATE
async def test_cancel_at_every_await_of_an_append_stores_all_or_nothing(
    late: bool, path: Where, watch: Watch
) -> None:
    """Two messages in one append are both there or neither is; repeating it stores them once."""
    async with convostore.open(path) as store:
        for nth in range(1, MOST_STEPS):
            chat = await store.create()
            pair = (Message.user("Q"), Message.assistant("A"))

            async def append(
                chat: Conversation = chat, pair: tuple[Message, Message] = pair
            ) -> None:
                await chat.append(*pair)

            reached = await cancelled_at(append(), nth, late=late)
            kept = [row[4] for row in watch.messages(chat.id)]
            assert kept in ([], ["Q", "A"])
            again = await (await store.resume(chat.id)).append(*pair)
            assert [one.text for one in again] == ["Q", "A"]
            assert [row[4] for row in watch.messages(chat.id)] == ["Q", "A"]
            if not reached:
                return
    raise AssertionError("the append never ended by itself")


@pytest.mark.asyncio
async def test_cancelled_task_sees_the_cancellation_after_the_commit(
    chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """When CancelledError comes out, the reply is stored as stopped, with its text."""
    provider.script("Hel", provider.gate("half"), Silence())
    task = asyncio.create_task(chat.send("Hi"))
    await provider.gate("half").arrive()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watch.messages()[1][3:] == ("stopped", "Hel")
    assert (await chat.history())[-1].status == "stopped"


@pytest.mark.asyncio
async def test_second_cancel_does_not_lose_the_end(
    chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """Ctrl-C twice in a row: write 2 goes on and is on disk when the task has ended."""
    provider.script("Hel", provider.gate("half"), Silence())
    task = asyncio.create_task(chat.send("Hi"))
    await provider.gate("half").arrive()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watch.messages()[1][3:] == ("stopped", "Hel")


@pytest.mark.asyncio
async def test_stop_and_cancel_together_are_a_cancellation(
    store: Store, chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """A stop does not swallow somebody else's cancel."""
    provider.script("Hel", provider.gate("half"), Silence())
    turn = chat.stream("Hi")

    async def read() -> None:
        async with turn:
            await turn.drain()

    task = asyncio.create_task(read())
    await provider.gate("half").arrive()
    stopping = asyncio.create_task(turn.stop())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await stopping).status == "stopped"
    assert watch.statuses() == ["stopped"]


@pytest.mark.asyncio
async def test_timeout_around_a_turn_works(chat: Conversation, provider: ScriptedProvider) -> None:
    """`asyncio.timeout` of the caller's own gives TimeoutError, and the reply is stopped."""
    provider.script("Hel", Silence())

    async def ask() -> None:
        async with asyncio.timeout(None) as limit, chat.stream("Hi") as turn:
            await anext(turn)
            limit.reschedule(asyncio.get_running_loop().time())
            await turn.drain()

    with pytest.raises(TimeoutError):
        await ask()
    assert [one.status for one in await chat.history()] == ["completed", "stopped"]


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["cancel", "stop"])
async def test_a_provider_that_catches_a_cancellation_and_goes_on_is_not_heard(
    chat: Conversation, provider: ScriptedProvider, how: str
) -> None:
    """The reply is stopped with what was shown, and who cancelled gets what was asked for."""

    class Deaf:
        name = "deaf"
        check, recover, models = provider.check, provider.recover, provider.models
        aclose = provider.aclose

        async def stream(self, _: object) -> AsyncIterator[TextDelta | Finished]:
            yield TextDelta("part")
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            yield TextDelta(" and more")
            yield Finished()

    async with chat.stream("q", provider=Deaf()) as turn:
        await anext(turn)
        reading = asyncio.create_task(turn.drain())
        await asyncio.sleep(0)
        if how == "stop":
            assert (await turn.stop()).status == "stopped"
            await reading
        else:
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
    assert (turn.reply.status, turn.reply.text) == ("stopped", "part")


@pytest.mark.asyncio
async def test_a_caller_that_has_caught_a_cancellation_may_go_on_reading(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """What it was cancelled in was something else: the reply is read to its end, or its error."""
    provider.answer("Hel", "lo")
    provider.script("Hel", BROKEN)

    async def ask() -> str:
        async with chat.stream("Hi") as turn:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return (await turn.drain()).text

    async def cancelled_meanwhile() -> str:
        messages = len(await chat.history())
        task = asyncio.create_task(ask())
        while len(await chat.history()) == messages:
            await asyncio.sleep(0)
        task.cancel()
        return await task

    assert await cancelled_meanwhile() == "Hello"
    with pytest.raises(ProviderConnectError):
        await cancelled_meanwhile()


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["stop", "limit"])
async def test_who_has_caught_a_cancellation_is_not_cancelled_by_what_ends_the_reply(
    chat: Conversation, provider: ScriptedProvider, manual: ManualClock, how: str
) -> None:
    """A stop still ends the reading without an error, and a limit that passes is still a failure."""
    gate, entered = provider.gate("half"), asyncio.Event()
    provider.script("Hel", gate, Silence())
    turn = chat.stream("Hi")

    async def ask() -> str:
        async with turn:
            with suppress(asyncio.CancelledError):
                entered.set()
                await asyncio.Event().wait()
            return (await turn.drain()).text

    task = asyncio.create_task(ask())
    await entered.wait()
    task.cancel()
    await gate.arrive()
    gate.open()
    await asyncio.sleep(0)
    if how == "stop":
        assert (await turn.stop()).status == "stopped"
        assert await task == "Hel"
    else:
        await manual.advance(turn.limits.idle_timeout_s + 1)
        with pytest.raises(ProviderTimeoutError):
            await task
        assert turn.reply.status == "failed"


@pytest.mark.asyncio
async def test_who_has_caught_a_cancellation_gets_the_answer_once_it_is_stored(
    path: Where, provider: ScriptedProvider, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound of the last write is for those who are being cancelled: others wait for it."""
    monkeypatch.setattr(turn_module, "LAST_WRITE_S", 0.05)
    gate, entered = provider.gate("half"), asyncio.Event()
    provider.script("Hel", gate, "lo", Finished())
    async with convostore.open(path, provider=provider, busy_timeout_s=3600) as store:
        chat = await store.create()

        async def ask() -> str:
            async with chat.stream("Hi") as turn:
                with suppress(asyncio.CancelledError):
                    entered.set()
                    await asyncio.Event().wait()
                return (await turn.drain()).text

        task = asyncio.create_task(ask())
        await entered.wait()
        task.cancel()
        await gate.arrive()
        with held(path):
            gate.open()
            done, _ = await asyncio.wait({task}, timeout=0.3)
        assert not done
        assert await task == "Hello"
        assert watch.messages()[1][3:] == ("completed", "Hello")
