"""Turns at once on the one local model: each has its time, and whoever leaves holds up nobody."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore.events import TextDelta
from tests.providers.near import SHORT, ask, request

if TYPE_CHECKING:
    from pathlib import Path

    from convostore.providers import Local


@pytest.mark.asyncio
async def test_leaving_early_stops_the_model_and_keeps_it_loaded(local: Local) -> None:
    """The next turn is answered at once, by the same process."""
    async with aclosing(local.stream(request("Count to one thousand."))) as stream:
        assert isinstance(await anext(stream), TextDelta)
    before = local._process
    _, end = await ask(local, request("Hello", **SHORT))
    assert end.finish_reason == "length"
    assert local._process is before
    assert before is not None


@pytest.mark.asyncio
async def test_cancelled_turn_leaves_the_model_free(local: Local) -> None:
    """Cancelling a turn that waits for the model stops it, and is not swallowed."""
    turn = asyncio.create_task(ask(local, request("Count to one thousand.")))
    while local._process is None:
        await asyncio.sleep(0)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert (await ask(local, request("Hello", **SHORT)))[1].finish_reason == "length"


@pytest.mark.asyncio
async def test_turns_at_once_are_answered_one_after_the_other(local: Local) -> None:
    """Each gets its own whole answer from the one process."""
    alone = [(await ask(local, request(text, **SHORT)))[0] for text in ("Hello", "One plus one?")]
    together = await asyncio.gather(
        ask(local, request("Hello", **SHORT)), ask(local, request("One plus one?", **SHORT))
    )
    assert [text for text, _ in together] == alone


@pytest.mark.asyncio
async def test_waiting_for_another_turn_is_no_silence(
    local: Local, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn that waits longer than the idle limit is answered all the same."""
    monkeypatch.setattr("convostore.providers.local._LIFE_SIGN_S", 0.05)
    await ask(local, request("Hello", **SHORT))  # loads the model
    async with convostore.open(tmp_path / "a.db", provider=local, idle_timeout_s=1.0) as store:
        chat = await store.create(model=str(model))
        async with aclosing(local.stream(request("Count to one thousand."))) as talking:
            assert isinstance(await anext(talking), TextDelta)  # and keeps the model
            waiting = asyncio.create_task(chat.send("Hello", settings=SHORT))
            await asyncio.sleep(1.5)
            assert not waiting.done()
        reply = await waiting
    assert reply.status == "completed"
    assert reply.text


@pytest.mark.asyncio
async def test_turns_that_wait_keep_their_order_and_may_leave(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signs of life are empty; who leaves the queue holds up nobody, cancelled or closed."""
    monkeypatch.setattr("convostore.providers.local._LIFE_SIGN_S", 0.01)
    answered: list[str] = []

    async def turn(name: str) -> None:
        await ask(local, request("Hello", **SHORT))
        answered.append(name)

    async with aclosing(local.stream(request("Count to one thousand."))) as talking:
        await anext(talking)
        closed = local.stream(request("Hello", **SHORT))
        assert await anext(closed) == TextDelta("")
        waiting = []
        for name in ("first", "leaves", "second", "third"):
            waiting.append(asyncio.create_task(turn(name)))
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        waiting[1].cancel()
        await closed.aclose()
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert answered == ["first", "second", "third"]
    assert isinstance(done[1], asyncio.CancelledError)
    assert not local._turn.locked()
