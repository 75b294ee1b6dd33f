"""Where a conversation object stands after a turn that went wrong: nothing goes out of sight."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from watching import until  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore.errors import (
    HeadMovedError,
    InvalidTextError,
    ProviderConnectError,
    ProviderError,
    StoreBusyError,
    TurnStateError,
)
from convostore.events import Finished, RemoteUpdate, TextDelta
from convostore.testing import Fail, Pause
from tests.engines import change, held
from tests.turn.talking import BROKEN, REMOTE, asked, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from watching import Watch

    from convostore import Conversation, Store
    from convostore.testing import ScriptedProvider
    from tests.engines import Where


async def cancel_in_write_1(path: Where, chat: Conversation, text: str, **how: str) -> None:
    """Cancel a send once its write 1 was taken, while another program holds the store."""
    with held(path):
        task = asyncio.create_task(chat.send(text, idempotency_key=how.get("key")))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.asyncio
async def test_after_a_cancelled_question_the_conversation_goes_on_below_it(
    path: Where, store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """The next turn stands where the cancelled one ended, so a later reader sees both."""
    provider.answer("a1")
    provider.answer("a2")
    provider.answer("a3")
    await chat.send("q1")
    await cancel_in_write_1(path, chat, "cancelled")
    async with chat.stream("q2") as turn:
        await turn.drain()
    assert not turn.branched
    await chat.send("q3")
    assert await said(await store.resume(chat.id)) == await said(chat)
    assert (await said(chat))[-3:] == ["a2", "q3", "a3"]


@pytest.mark.asyncio
async def test_a_question_cancelled_before_it_was_asked_is_asked_when_it_is_repeated(
    path: Where, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Its key is not burnt: the model was never asked."""
    await cancel_in_write_1(path, chat, "q", key="1")
    provider.answer("now")
    assert (await chat.send("q", idempotency_key="1")).text == "now"
    assert len(provider.calls) == 1


@pytest.mark.asyncio
async def test_a_repeat_stands_at_the_reply_it_was_given(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Another object repeats a question, and its next one goes on below the answer."""
    provider.answer("a1")
    provider.answer("a2")
    other = await store.resume(chat.id)
    await chat.send("q1", idempotency_key="k")
    assert (await other.send("q1", idempotency_key="k")).text == "a1"
    assert await said(other) == ["q1", "a1"]
    async with other.stream("q2") as turn:
        await turn.drain()
    assert not turn.branched
    assert asked(provider) == ["q1", "a1", "q2"]


@pytest.mark.asyncio
async def test_two_repeats_of_a_failed_question_ask_once(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """The second repeat waits for the answer that the first one asked for."""
    provider.script("par", BROKEN)
    provider.script("whole", Pause(0.2), Finished())
    with pytest.raises(ProviderConnectError):
        await chat.send("q", idempotency_key="k")
    other = await store.resume(chat.id)
    both = await asyncio.gather(
        chat.send("q", idempotency_key="k"), other.send("q", idempotency_key="k")
    )
    assert [one.text for one in both] == ["whole", "whole"]
    assert len(provider.calls) == 2


@pytest.mark.asyncio
async def test_a_refused_repeat_moves_nobody(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Where the provider refuses to be asked again, the caller stands where it stood."""
    provider.script("par", BROKEN)
    with pytest.raises(ProviderConnectError):
        await chat.send("q", idempotency_key="k")
    provider.refusal = ProviderError("too large", provider="scripted")
    with pytest.raises(ProviderError, match="too large"):
        await chat.send("q", idempotency_key="k")
    provider.refusal = None
    provider.answer("fine")
    async with chat.stream("q2") as turn:
        await turn.drain()
    assert not turn.branched
    assert await said(await store.resume(chat.id)) == ["q", "par", "q2", "fine"]


@pytest.mark.asyncio
async def test_keys_of_two_rooms_never_meet(store: Store, provider: ScriptedProvider) -> None:
    """A room's key and a message's id cannot be read as those of another room."""
    provider.answer("1")
    provider.answer("2")
    one = await store.get_or_create(key="tg:-100")
    two = await store.get_or_create(key="tg:-100:7")
    await one.send("hello", idempotency_key="7:3")
    assert (await two.send("hi", idempotency_key="3")).text == "2"


@pytest.mark.asyncio
async def test_an_empty_question_is_refused(chat: Conversation, watch: Watch) -> None:
    """There is nothing to ask, and nothing is stored."""
    with pytest.raises(InvalidTextError, match="empty"):
        await chat.send("")
    assert watch.messages() == []


@pytest.mark.asyncio
async def test_stopping_a_turn_that_could_not_begin_disturbs_nobody(chat: Conversation) -> None:
    """Whoever tried to enter it works on, and the stopper is told."""
    turn = chat.stream("half a \ud800 character")
    with pytest.raises(InvalidTextError):
        await turn.__aenter__()

    async def stopper() -> None:
        with pytest.raises(TurnStateError, match="did not begin"):
            await turn.stop()

    await asyncio.create_task(stopper())
    await asyncio.sleep(0)  # a cancellation would arrive here


@pytest.mark.asyncio
async def test_a_reader_is_told_when_the_end_could_not_be_written(
    path: Where, provider: ScriptedProvider
) -> None:
    """Another task stops the turn, the store is busy, and neither is told that it is stored."""
    provider.script("part", provider.gate("on"), Finished())
    async with convostore.open(path, provider=provider, busy_timeout_s=0.2) as store:
        chat = await store.create()
        async with chat.stream("q") as turn:
            await anext(turn)
            reading = asyncio.create_task(turn.drain())
            await provider.gate("on").reached.wait()
            with held(path):
                with pytest.raises(StoreBusyError):
                    await turn.stop()
                with pytest.raises(StoreBusyError):
                    await reading
    assert turn.reply.status == "stopped"


@pytest.mark.asyncio
async def test_a_cancellation_of_the_providers_own_is_its_fault(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Nobody has cancelled the caller, so the caller sees a provider error."""
    provider.script("part", Fail(asyncio.CancelledError()))
    with pytest.raises(ProviderError, match="CancelledError"):
        await chat.send("q")
    assert (await chat.history())[-1].status == "failed"


@pytest.mark.asyncio
async def test_a_provider_cannot_make_an_error_of_a_stop(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Whatever the provider raises while it is being stopped, the reply is stopped."""

    class Stubborn:
        name = "stubborn"
        check, recover, models = provider.check, provider.recover, provider.models
        aclose = provider.aclose

        async def stream(self, _: object) -> AsyncIterator[TextDelta]:

            yield TextDelta("part")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ProviderConnectError("cut", provider="stubborn") from None

    async with chat.stream("q", provider=Stubborn()) as turn:
        await anext(turn)
        reading = asyncio.create_task(turn.drain())
        await asyncio.sleep(0.05)
        assert (await turn.stop()).status == "stopped"
        assert (await reading).status == "stopped"
        assert reading.cancelling() == 0


@pytest.mark.asyncio
async def test_a_reply_that_broke_is_asked_for_again_before_the_question_is_repeated(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """The far side had it whole by then: it is taken, and nothing is sent twice."""
    provider.script(RemoteUpdate(REMOTE), "half", BROKEN)
    with pytest.raises(ProviderConnectError):
        await chat.send("q", idempotency_key="k")
    provider.recovery = Finished(text="half and half", remote=REMOTE)
    assert (await chat.send("q", idempotency_key="k")).text == "half and half"
    assert len(provider.calls) == 1
    assert len(provider.recovered) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("key", [None, "k"])
async def test_nothing_is_sent_while_the_far_side_cannot_be_asked(
    chat: Conversation, provider: ScriptedProvider, watch: Watch, key: str | None
) -> None:
    """A repeat, or the next question, waits until it is known how the broken reply ended."""
    provider.script(RemoteUpdate(REMOTE), "half", BROKEN)
    provider.recovery = ProviderConnectError("503", provider="scripted", status=503, retryable=True)
    with pytest.raises(ProviderConnectError):
        await chat.send("q", idempotency_key="k")
    before = watch.messages()
    with pytest.raises(ProviderConnectError, match="503"):
        await chat.send("q" if key else "next", idempotency_key=key)
    assert (watch.messages(), len(provider.calls)) == (before, 1)
    provider.recovery = None
    provider.answer("again")
    assert (await chat.send("q" if key else "next", idempotency_key=key)).text == "again"


@pytest.mark.asyncio
async def test_what_the_far_side_will_never_tell_holds_nobody_up(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """A permanent refusal to answer is as good as having nothing."""
    provider.script(RemoteUpdate(REMOTE), "half", BROKEN)
    provider.recovery = ProviderError("403", provider="scripted", status=403)
    with pytest.raises(ProviderConnectError):
        await chat.send("q")
    provider.answer("next")
    assert (await chat.send("q2")).text == "next"


@pytest.mark.asyncio
async def test_a_moved_head_is_an_error_where_the_caller_said_so_also_after_a_break(
    store: Store, chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """A reply that was to be adopted, but was gone on from, moves nobody to another branch."""
    provider.script(RemoteUpdate(REMOTE), "half", BROKEN)
    with pytest.raises(ProviderConnectError):
        await chat.send("q")
    other = await store.resume(chat.id)
    provider.answer("theirs")
    await other.send("their question")
    provider.recovery = Finished(text="half and half", remote=REMOTE)
    with pytest.raises(HeadMovedError):
        await chat.send("mine", on_moved="error")
    assert "half and half" not in [text for *_, text in watch.messages()]


@pytest.mark.asyncio
async def test_a_reply_that_ended_late_by_itself_is_not_adopted_as_well(
    store: Store, chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """Between the look at the broken reply and its adoption its own writer has finished it."""
    provider.script(RemoteUpdate(REMOTE), "beg", provider.gate("late"), " late", Finished())
    async with chat.stream("q") as turn:
        await anext(turn)
        ((lease,),) = watch.rows("SELECT lease FROM message WHERE seq = 2")
        token, _, rest = lease.partition("|")
        elsewhere = f"{token}|another boot|{'|'.join(rest.split('|')[1:-1])}|1"
        change(watch.path, "UPDATE message SET lease = ? WHERE seq = 2", elsewhere)
        other = await store.resume(chat.id)

        class Slow:
            name = "scripted"
            check, stream, models = provider.check, provider.stream, provider.models
            aclose = provider.aclose

            async def recover(self, *_: object) -> Finished:
                provider.gate("late").open()
                await turn.drain()
                return Finished(text="beg late", remote=REMOTE)

        provider.answer("next")
        await other.send("q2", provider=Slow())
    texts = [text for *_, text in watch.messages()]
    assert texts.count("beg late") == 1
    await until(lambda: watch.statuses().count("streaming") == 0)


@pytest.mark.asyncio
async def test_the_first_question_of_all_gives_the_title(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """An object that knows of no title yet does not give another one."""
    provider.otherwise = ("a", Finished())
    other = await store.resume(chat.id)
    await chat.send("first")
    await other.send("second")  # on a branch of its own, as it was not told either
    assert (await store.find(chat.id)).title == "first"
    assert other.title == "first"


@pytest.mark.parametrize("away", ["edit", "regenerate", "switch"])
@pytest.mark.asyncio
async def test_a_reply_that_ends_late_does_not_move_a_caller_who_went_elsewhere(
    store: Store, chat: Conversation, provider: ScriptedProvider, away: str
) -> None:
    """Who asked in other words, or switched, while a reply ran, goes on there, as resume does."""
    provider.otherwise = ("a", Finished())
    await chat.send("q1")
    async with chat.edit(1, "q1 otherwise") as turn:
        other = await turn.drain()
    await chat.switch(2)
    provider.script("slow", provider.gate("end"), Finished())
    async with chat.stream("q2") as slow:
        ending = asyncio.create_task(slow.drain())
        await provider.gate("end").arrive()
        if away == "switch":
            await chat.switch(other.seq)
        else:
            new = chat.edit(slow.user.id, "q2") if away == "edit" else chat.regenerate()
            async with new as turn:
                await turn.drain()
        stood = await said(chat)
        provider.gate("end").open()
        await ending
    assert await said(chat) == stood
    async with chat.stream("q3") as turn:
        await turn.drain()
    assert not turn.branched
    assert await said(await store.resume(chat.id)) == [*stood, "q3", "a"]
