"""How far the disk may be behind what was shown, and what a reader of a running reply sees."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from watching import until  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore.events import Finished, ReasoningDelta, TextDelta, ToolCallDelta
from convostore.storage.leases import RENEW_AFTER_MS, token_of
from convostore.testing import ManualClock, ScriptedProvider, Silence, temporary_store
from convostore.turning.following import deltas_after
from convostore.turning.pulse import TICK_S
from tests.engines import place
from tests.turn.reading import journaled

if TYPE_CHECKING:
    from watching import Watch

    from convostore.testing.scripted_provider import Step
    from tests.engines import Where


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
async def test_text_is_flushed_while_provider_and_caller_are_silent(
    path: Where, provider: ScriptedProvider, watch: Watch
) -> None:
    """The next tick puts what was shown on disk; no further delta is needed, nor any more time."""
    provider.script("one ", Silence())
    with ManualClock() as clock:
        async with convostore.open(path, provider=provider) as store:
            chat = await store.create()
            async with chat.stream("count") as turn:
                await anext(turn)
                assert watch.journal_text() == ""
                await clock.advance(TICK_S)
                await until(lambda: watch.journal_text() == "one ")


@pytest.mark.asyncio
async def test_lease_is_renewed_while_provider_and_caller_are_silent(
    path: Where, provider: ScriptedProvider, watch: Watch
) -> None:
    """Every five seconds, so that no other machine takes a writer that only waits for dead."""

    def renewed_ms() -> int:
        ((lease,),) = watch.rows("select lease from message where status = 'streaming'")
        assert token_of(lease) == token
        return int(lease.rpartition("|")[2])

    provider.script("one ", Silence())
    with ManualClock() as clock:
        async with convostore.open(path, provider=provider) as store:
            chat = await store.create()
            async with chat.stream("count") as turn:
                await anext(turn)
                token = turn._opening.token
                begun_ms = renewed_ms()
                await clock.advance(TICK_S)
                await until(lambda: watch.journal_text() == "one ")
                for _ in range(3):
                    due_s = (begun_ms + RENEW_AFTER_MS - clock.now_ms()) / 1000
                    await clock.advance(due_s - 2 * TICK_S)
                    assert renewed_ms() == begun_ms
                    await clock.advance(4 * TICK_S)
                    await until(lambda: renewed_ms() > begun_ms)  # noqa: B023 - it is awaited here
                    begun_ms = renewed_ms()


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
