"""The journal: how far the disk may be behind, and what becomes of it when the store is held."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore.errors import StoreBusyError
from convostore.events import Finished
from convostore.testing import ScriptedProvider
from convostore.turning.journaling import FLUSH_BYTES
from tests.engines import rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    Hold = Callable[[], AbstractContextManager[None]]

    from tests.engines import Where


def journaled(path: Where) -> str:
    """Return the text that a kill at this moment would leave."""
    return "".join(text for (text,) in rows(path, "SELECT text FROM journal ORDER BY seq"))


@pytest.mark.asyncio
async def test_what_is_on_its_way_to_the_disk_counts_as_unsaved(path: Where, lock: Hold) -> None:
    """While a flush is stuck, what was shown is never more than 4 KiB ahead of the disk."""
    provider = ScriptedProvider()
    provider.answer(*["x" * 1000] * 12)
    async with convostore.open(path, provider=provider) as store:
        chat = await store.create()
        shown = 0
        async with chat.stream("go") as turn:
            with lock():
                shown += len((await anext(turn)).text)
                shown += len((await anext(turn)).text)
                turn.tick()
                await asyncio.sleep(0)
                waiting = asyncio.ensure_future(anext(turn))
                for _ in range(12):
                    for _ in range(50):
                        await asyncio.sleep(0)
                    if not waiting.done():
                        break
                    shown += 1000
                    waiting = asyncio.ensure_future(anext(turn))
                assert 3 * 1000 < shown < FLUSH_BYTES
                assert journaled(path) == ""
            await waiting
            await turn.drain()
        assert turn.reply.text == "x" * 12_000


@pytest.mark.asyncio
async def test_a_shown_delta_is_never_4_kib_ahead_of_the_disk(path: Where) -> None:
    """At every delta of a fast stream, what is in the journal is at most 4 KiB behind."""
    provider = ScriptedProvider()
    provider.answer(*[f"{n:06d}" + "y" * (n * 37 % 900) for n in range(120)])
    async with convostore.open(path, provider=provider) as store:
        chat = await store.create()
        shown = ""
        async with chat.stream("go") as turn:
            async for delta in turn:
                shown += getattr(delta, "text", "")
                saved = journaled(path)
                assert shown.startswith(saved)
                assert len(shown) - len(saved) < FLUSH_BYTES
        assert turn.reply.text == shown
    assert journaled(path) == ""


@pytest.mark.asyncio
async def test_closing_a_held_store_ends_and_keeps_what_was_shown(path: Where, lock: Hold) -> None:
    """With turns running and the lock held elsewhere, a close returns; the answers are kept."""
    provider = ScriptedProvider()
    for _ in range(4):
        provider.script("z" * 5000, provider.gate("never"), Finished())
    store = await convostore.open(path, provider=provider, busy_timeout_s=0.5)
    turns = []
    for _ in range(4):
        chat = await store.create()
        turn = chat.stream("go")
        await turn.__aenter__()
        await anext(turn)
        turns.append(turn)
    with lock():
        async with asyncio.timeout(20):
            await store.aclose()
    assert provider.is_closed
    for turn in turns:
        assert turn.reply.status == "stopped"
        await turn.__aexit__(None, None, None)
    async with convostore.open(path) as again:
        page = await again.list()
        texts = [(await (await again.resume(one.id)).history())[-1].text for one in page.items]
    assert texts == ["z" * 5000] * 4


@pytest.mark.asyncio
async def test_an_ending_that_could_not_be_written_is_written_later(
    path: Where, lock: Hold
) -> None:
    """The caller is told that the end is not stored yet; it is, as soon as the lock is free."""
    provider = ScriptedProvider()
    provider.script("all of it", provider.gate("end"), Finished())
    async with convostore.open(path, provider=provider, busy_timeout_s=0.2) as store:
        chat = await store.create()
        async with chat.stream("go") as turn:
            await anext(turn)
            with lock():
                provider.gate("end").open()
                with pytest.raises(StoreBusyError):
                    await turn.drain()
    async with convostore.open(path) as again:
        reply = (await (await again.resume("@")).history())[-1]
    assert (reply.status, reply.text) == ("completed", "all of it")
