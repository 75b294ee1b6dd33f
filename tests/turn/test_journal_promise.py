"""How far the disk may be behind what was shown, and what a reader of a running reply sees."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from convostore.events import Finished, ReasoningDelta, TextDelta, ToolCallDelta
from convostore.testing import ScriptedProvider, Silence, temporary_store
from convostore.turning.following import deltas_after
from tests.engines import place
from tests.turn.reading import journaled

if TYPE_CHECKING:
    from convostore.testing.scripted_provider import Step


@pytest.mark.asyncio
async def test_disk_is_never_more_than_4_kib_behind_what_was_shown() -> None:
    """At every delta, what another process reads lacks at most 4,096 bytes of what was shown."""
    provider = ScriptedProvider()
    pieces = ["äöü" * 20 + f"{number:04}" for number in range(400)]
    provider.answer(*pieces)
    async with temporary_store(provider) as store:
        chat = await store.create()
        shown = ""
        worst = 0
        async with chat.stream("a lot") as turn:
            async for delta in turn:
                shown += delta.text
                behind = len(shown.encode()) - len(journaled(place(store)).encode())
                worst = max(worst, behind)
                assert shown.startswith(journaled(place(store)))
        assert 0 < worst <= 4096
        assert turn.reply.text == "".join(pieces)


@pytest.mark.asyncio
async def test_text_is_flushed_while_provider_and_caller_are_silent() -> None:
    """The tick alone puts what was shown on disk; no further delta is needed."""
    provider = ScriptedProvider()
    provider.script("one ", Silence())
    async with temporary_store(provider) as store:
        chat = await store.create()
        async with chat.stream("count") as turn:
            await anext(turn)
            async with asyncio.timeout(10):
                while journaled(place(store)) != "one ":
                    await asyncio.sleep(0.02)  # the tick is real: every 200 ms


@pytest.mark.asyncio
async def test_another_reader_sees_the_journal_of_a_running_reply() -> None:
    """The reply of a running turn is shown as far as it is on disk, as streaming."""
    provider = ScriptedProvider()
    gate = provider.gate("half")
    provider.script(ReasoningDelta("hm"), "one ", gate, "two", Finished())
    async with temporary_store(provider) as store:
        chat = await store.create()
        sending = asyncio.create_task(chat.send("count"))
        await gate.arrive()
        while not journaled(place(store)):
            await asyncio.sleep(0.02)  # the tick is real: every 200 ms
        (_, reply) = await (await store.resume(chat.id)).history()
        assert (reply.status, reply.text) == ("streaming", "one ")
        gate.open()
        await sending


@pytest.mark.asyncio
async def test_reader_who_comes_back_at_any_position_gets_exactly_the_rest() -> None:
    """`seq` is a position: from each one the final parts yield what was not seen yet."""
    provider = ScriptedProvider()
    script: list[Step] = [
        ReasoningDelta("think"),
        TextDelta("Hel"),
        ToolCallDelta("c1", "clock", ""),
        ToolCallDelta("c1", "", "{}"),
        TextDelta("lo"),
    ]
    provider.script(*script, Finished())
    async with temporary_store(provider) as store:
        chat = await store.create()
        async with chat.stream("hello") as turn:
            seen = [delta async for delta in turn]
        assert [delta.seq for delta in seen] == [5, 8, 9, 9, 11]
        for at in range(12):
            rest = "".join(delta.text for delta in deltas_after(turn.reply.parts, at))
            assert rest == ("Hel" + "lo")[min(max(0, at - 5 - (at > 8)), 5) :]


@pytest.mark.asyncio
async def test_tool_calls_in_many_interleaved_pieces_come_together() -> None:
    """Ten thousand pieces of two calls make two parts, whole and in order of their beginning."""
    provider = ScriptedProvider()
    pieces = [
        ToolCallDelta(f"c{number % 2}", "tool" if number < 2 else "", f"{number};")
        for number in range(10_000)
    ]
    provider.script(*pieces, Finished())
    async with temporary_store(provider) as store:
        chat = await store.create()
        reply = await chat.send("call")
        expected = ["".join(f"{n};" for n in range(half, 10_000, 2)) for half in (0, 1)]
        assert [part.args for part in reply.parts] == expected  # type: ignore[union-attr]  # two tool calls
        assert (await chat.history())[-1].parts == reply.parts
