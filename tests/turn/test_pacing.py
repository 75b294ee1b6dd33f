"""Replies that are edited in place: the whole text so far, at most once an interval, the last whole."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from convostore import clock
from convostore.errors import ProviderConnectError, TurnStateError
from convostore.events import Finished, ReasoningDelta
from convostore.testing import Silence
from convostore.testing.steps import Pause
from tests.turn.talking import BROKEN

if TYPE_CHECKING:
    from convostore import Conversation, Store
    from convostore.testing import ManualClock, ScriptedProvider
    from convostore.turn import Turn


async def shown(turn: Turn) -> list[tuple[float, str]]:
    """Read a turn, and return when each item came."""
    return [(clock.monotonic_s(), delta.text) async for delta in turn]


async def played(manual: ManualClock, turn: Turn) -> list[tuple[float, str]]:
    """Let time pass until a turn was read, not so fast that the store's patience ends in a write."""
    reading = asyncio.create_task(shown(turn))
    while not reading.done():
        await manual.advance(0.1)
        await asyncio.to_thread(time.sleep, 0.01)
    return await reading


@pytest.mark.asyncio
async def test_items_are_the_whole_text_at_most_once_an_interval(
    chat: Conversation, provider: ScriptedProvider, manual: ManualClock
) -> None:
    """The first comes at once, the last is all of it; silence in between brings none."""
    steps: list[object] = [ReasoningDelta("hm")]
    for number in range(10):
        steps += [f"{number} ", Pause(0.3)]
    provider.script(*steps, Pause(5), "end", Finished())  # type: ignore[arg-type] # steps, all of them
    async with chat.stream("count", every_s=1.0) as turn:
        seen = await played(manual, turn)
    texts = [text for _, text in seen]
    assert texts[0] == "0 "
    assert texts[-1] == turn.reply.text == "0 1 2 3 4 5 6 7 8 9 end"
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert len(set(texts)) == len(texts)
    times = [at for at, _ in seen]
    assert all(later - at >= 1.0 for at, later in pairwise(times))


@pytest.mark.asyncio
async def test_slow_reader_holds_nothing_up(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """While it is busy with the first item the reply is read and stored to its end."""
    provider.script("one ", provider.gate("rest"), "two ", "three", Finished())
    texts = []
    async with chat.stream("go", every_s=0.0) as turn:
        async for delta in turn:
            texts.append(delta.text)
            if len(texts) == 1:
                provider.gate("rest").open()
                while (await (await store.resume(chat.id)).history())[-1].status == "streaming":
                    await asyncio.sleep(0.005)
    assert texts == ["one ", "one two three"]


@pytest.mark.asyncio
async def test_what_came_of_a_broken_reply_is_shown_before_its_error(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """The last item is all there is of it; the error has the stored reply."""
    provider.script("half an ", "answer", BROKEN)
    texts: list[str] = []

    async def read() -> None:
        async with chat.stream("go", every_s=0.01) as turn:
            async for delta in turn:
                texts.append(delta.text)  # noqa: PERF401 - what had come before the error counts

    with pytest.raises(ProviderConnectError) as caught:
        await read()
    assert texts[-1] == "half an answer"
    assert caught.value.reply is not None
    assert (caught.value.reply.status, caught.value.reply.text) == ("failed", "half an answer")


@pytest.mark.asyncio
async def test_text_that_the_end_replaced_is_the_last_item(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """What is stored is what is shown in the end; of a repeat it is all that is shown."""
    provider.script("plumm", Finished(text="plum"))
    async with chat.stream("go", every_s=0.0, idempotency_key="1") as turn:
        texts = [delta.text async for delta in turn]
    assert (texts[-1], turn.replaced) == ("plum", True)
    async with chat.stream("go", every_s=1.0, idempotency_key="1") as turn:
        assert [delta.text async for delta in turn] == ["plum"]


@pytest.mark.asyncio
@pytest.mark.parametrize("way", ["leave", "stop", "cancel", "drain"])
async def test_paced_turn_ends_as_any_other(
    chat: Conversation, provider: ScriptedProvider, way: str
) -> None:
    """Left early, stopped or cancelled it is `stopped` with what had come; drained, it is whole."""
    rest = (" whole", Finished()) if way == "drain" else (Silence(),)
    provider.script("half", *rest)
    reading = asyncio.Event()

    async def read() -> None:
        async with chat.stream("go", every_s=5.0) as turn:
            async for _ in turn:
                reading.set()
                if way == "drain":
                    assert (await turn.drain()).text == "half whole"
                if way in {"leave", "drain"}:
                    break
                if way == "stop":
                    await turn.stop()

    task = asyncio.create_task(read())
    await reading.wait()
    if way == "cancel":
        task.cancel()
    outcome = (await asyncio.gather(task, return_exceptions=True))[0]
    assert isinstance(outcome, asyncio.CancelledError) is (way == "cancel")
    reply = (await chat.history())[-1]
    ended = ("completed", "half whole") if way == "drain" else ("stopped", "half")
    assert (reply.status, reply.text) == ended
    provider.answer("next")
    assert (await chat.send("on")).text == "next"


@pytest.mark.asyncio
async def test_repeat_that_follows_a_reply_can_be_left(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """The reply itself goes on: it is whoever asked first that can stop it."""
    gate = provider.gate("rest")
    provider.script("half", gate, " whole", Finished())
    asking = asyncio.create_task(chat.send("go", idempotency_key="1"))
    await gate.arrive()
    other = await store.resume(chat.id)
    async with other.stream("go", every_s=0.0, idempotency_key="1") as turn:
        async for delta in turn:
            assert delta.text == "half"
            break
    gate.open()
    assert (await asking).text == "half whole"


@pytest.mark.asyncio
async def test_paced_turn_is_entered_before_it_is_read(chat: Conversation) -> None:
    """As any turn."""
    with pytest.raises(TurnStateError):
        await anext(chat.stream("go", every_s=1.0))
