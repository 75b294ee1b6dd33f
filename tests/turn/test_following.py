"""Following a reply that another process writes: its journal is read again, more and more rarely."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore.events import Finished
from convostore.turning import following

if TYPE_CHECKING:
    from convostore.testing import ScriptedProvider
    from tests.engines import Where


@pytest.mark.asyncio
async def test_a_follower_looks_more_and_more_rarely_until_there_is_news(
    path: Where, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 ms after news, twice as long each time without, 200 ms at most; nobody has to wake it."""
    provider.script(
        *("x" * 5000, provider.gate("more"), "y" * 5000, provider.gate("end"), Finished())
    )
    pauses: list[float] = []
    async with (
        convostore.open(path, provider=provider) as store,
        convostore.open(path) as elsewhere,
    ):
        chat = await store.create()
        async with chat.stream("go") as turn:
            await anext(turn)
            await turn._journal.catch_up()

            async def sleep(seconds: float) -> None:
                pauses.append(seconds)
                if len(pauses) == 7:
                    provider.gate("more").open()
                    await anext(turn)
                    await turn._journal.catch_up()
                elif len(pauses) == 10:
                    provider.gate("end").open()
                    await turn.drain()

            monkeypatch.setattr(following, "clock", SimpleNamespace(sleep=sleep))
            place = (await elsewhere.resume(chat.id))._place
            seen = [
                (reply.status, "".join(delta.text for delta in deltas))
                async for reply, deltas in following.follow(
                    place.database, place.owner_id, chat.id, turn.user.seq + 1
                )
            ]
    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.2, 0.2, 0.2, 0.02, 0.04, 0.08]
    assert "".join(text for _, text in seen) == "x" * 5000 + "y" * 5000
    assert [status for status, _ in seen] == ["streaming"] * 10 + ["completed"]
