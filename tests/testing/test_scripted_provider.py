"""The scripted provider plays its scripts and keeps what it was asked."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from convostore.errors import ProviderConnectError
from convostore.events import Finished, ReasoningDelta, TextDelta
from convostore.providers.provider import ChatMessage, ChatRequest, Provider
from convostore.records import RemoteThread
from convostore.testing import (
    Endless,
    Fail,
    ManualClock,
    Pause,
    ScriptedProvider,
    Silence,
    Wait,
)

if TYPE_CHECKING:
    from convostore.events import Event

HELLO = ChatRequest(messages=(ChatMessage("user", "hello"),))


async def listen(provider: ScriptedProvider) -> list[Event]:
    """Hear one stream to its end."""
    return [event async for event in provider.stream(HELLO)]


@pytest.mark.asyncio
async def test_scripts_are_played_in_the_order_they_were_given() -> None:
    """Each call takes the next script; strings are text deltas."""
    provider = ScriptedProvider()
    provider.answer("one ", "two")
    provider.script(ReasoningDelta("hm"), "three", Finished(finish_reason="stop"))
    assert isinstance(provider, Provider)
    assert await listen(provider) == [TextDelta("one "), TextDelta("two"), Finished()]
    assert await listen(provider) == [
        ReasoningDelta("hm"),
        TextDelta("three"),
        Finished(finish_reason="stop"),
    ]
    assert provider.requests == [HELLO, HELLO]
    assert [call.closed for call in provider.calls] == [False, False]


@pytest.mark.asyncio
async def test_a_call_without_a_script_is_an_error_of_the_test() -> None:
    """Nothing is answered by accident; `otherwise` answers every further call."""
    provider = ScriptedProvider()
    with pytest.raises(AssertionError, match="call 1 of 'scripted' has no script"):
        await listen(provider)
    provider.otherwise = ("ok", Finished())
    assert await listen(provider) == [TextDelta("ok"), Finished()]


@pytest.mark.asyncio
async def test_a_gate_holds_the_stream_until_it_is_opened() -> None:
    """Provider and test meet at a gate, and at any event of the test's own."""
    provider = ScriptedProvider()
    event = asyncio.Event()
    provider.script("a", provider.gate("half"), "b", Wait(event), Finished())
    listening = asyncio.create_task(listen(provider))
    await provider.gate("half").arrive()
    assert provider.calls[0].running
    provider.gate("half").open()
    event.set()
    assert await listening == [TextDelta("a"), TextDelta("b"), Finished()]
    assert not provider.calls[0].running


@pytest.mark.asyncio
async def test_a_failure_comes_out_as_it_was_written() -> None:
    """Fail raises the very error."""
    error = ProviderConnectError("gone", provider="scripted")
    provider = ScriptedProvider()
    provider.script("a", Fail(error))
    with pytest.raises(ProviderConnectError) as caught:
        await listen(provider)
    assert caught.value is error


@pytest.mark.asyncio
async def test_leaving_early_is_noticed() -> None:
    """A closed or cancelled iterator is told from one that was read to its end."""
    provider = ScriptedProvider()
    provider.script(Endless("x"))
    provider.script(Silence())
    async with aclosing(provider.stream(HELLO)) as events:
        heard = [await anext(events) for _ in range(3)]
    assert heard == [TextDelta("x")] * 3
    with ManualClock() as manual:
        listening = asyncio.create_task(listen(provider))
        await manual.advance(3600)
        assert not listening.done()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert [call.closed for call in provider.calls] == [True, True]


@pytest.mark.asyncio
async def test_a_pause_goes_by_the_clock() -> None:
    """Pause lets the manual clock say when the script goes on."""
    provider = ScriptedProvider()
    provider.script(Pause(5), Finished())
    with ManualClock() as manual:
        listening = asyncio.create_task(listen(provider))
        await manual.advance(4)
        assert not listening.done()
        await manual.advance(1)
        assert await listening == [Finished()]


@pytest.mark.asyncio
async def test_check_recover_models_and_close_are_scriptable() -> None:
    """The other verbs answer what the test set, and remember that they were asked."""
    error = ProviderConnectError("no", provider="scripted")
    remote = RemoteThread(server_url="http://x", dialect="d", remote_id="r")
    provider = ScriptedProvider(name="other", refusal=error)
    with pytest.raises(ProviderConnectError):
        provider.check(HELLO)
    assert await provider.recover(remote, "me") is None
    provider.recovery = Finished(text="all of it")
    assert await provider.recover(remote, "me") == Finished(text="all of it")
    provider.recovery = error
    with pytest.raises(ProviderConnectError):
        await provider.recover(remote, "me")
    assert provider.recovered == [remote] * 3
    assert [model.id for model in await provider.models()] == ["scripted-1"]
    await provider.aclose()
    assert provider.is_closed
