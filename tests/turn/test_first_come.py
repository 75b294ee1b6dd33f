"""Who comes first is asked first, where many come at once to a room."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from convostore.events import Finished

if TYPE_CHECKING:
    from convostore import Store
    from convostore.testing import ScriptedProvider

TEXTS = [f"m{number}" for number in range(6)]


@pytest.mark.asyncio
@pytest.mark.parametrize("is_new", [True, False])
async def test_messages_that_arrive_together_are_asked_in_their_order(
    store: Store, provider: ScriptedProvider, *, is_new: bool
) -> None:
    """Each in a task of its own, which asks for the room first; in a new room as in an old one."""
    provider.otherwise = ("answer", Finished())
    for room in ("one", "two", "three"):
        if not is_new:
            await store.get_or_create(room)

        async def ask(text: str, room: str = room) -> None:
            chat = await store.get_or_create(room)
            await chat.send(text, idempotency_key=text)

        await asyncio.gather(*(asyncio.create_task(ask(text)) for text in TEXTS))
        found = await store.get(room)
        assert found is not None
        assert [one.text for one in await found.history() if one.role == "user"] == TEXTS


@pytest.mark.asyncio
async def test_one_who_gives_up_in_line_holds_nobody_up(
    store: Store, provider: ScriptedProvider
) -> None:
    """Cancelled, or out of patience, it leaves the line; those behind it come as they came."""
    gate = provider.gate("running")
    provider.script("one", gate, Finished())
    provider.otherwise = ("answer", Finished())
    chat = await store.get_or_create("room")
    tasks = [asyncio.create_task(chat.send(text)) for text in TEXTS]
    await gate.arrive()
    tasks[1].cancel()
    tasks[3].cancel()
    await asyncio.wait(tasks[1:2])
    gate.open()
    await asyncio.gather(*tasks, return_exceptions=True)
    said = [one.text for one in await chat.history() if one.role == "user"]
    assert said == ["m0", "m2", "m4", "m5"]
