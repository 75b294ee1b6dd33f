"""Echo: the provider that says what was said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from convostore.errors import ProviderError
from convostore.events import Finished, TextDelta
from convostore.providers import Echo, make
from convostore.providers.provider import ChatMessage, ChatRequest, Provider
from convostore.testing import ManualClock

if TYPE_CHECKING:
    from convostore.events import Event


def request(*texts: str, **settings: Any) -> ChatRequest:
    """Ask with *texts*, the last of which is the new one."""
    messages = tuple(ChatMessage("user", text) for text in texts)
    return ChatRequest(messages=messages, settings=settings)


async def events(asked: ChatRequest) -> list[Event]:
    """Return all that Echo yields."""
    return [event async for event in Echo().stream(asked)]


def said(found: list[Event]) -> str:
    """Return the joined text of *found*."""
    return "".join(event.text for event in found if isinstance(event, TextDelta))


@pytest.mark.asyncio
async def test_echo_says_the_last_message_and_how_many_were_sent() -> None:
    """Who asks can see in the answer what reached the far side."""
    assert said(await events(request("Hello there"))) == "You said: Hello there\n"
    answer = said(await events(request("one", "two", "  three\n\nfour ")))
    assert answer == "You said:   three\n\nfour \n(3 messages were sent.)\n"


@pytest.mark.asyncio
async def test_echo_answers_in_pieces_and_then_finishes() -> None:
    """The answer comes word by word; the end says stop, and counts no tokens."""
    *pieces, end = await events(request("a b c"))
    assert len(pieces) == 5
    assert end == Finished(model="echo", finish_reason="stop")


@pytest.mark.asyncio
async def test_same_question_gets_the_same_events() -> None:
    """Echo is deterministic."""
    asked = request("again and again", repeat=3)
    assert await events(asked) == await events(asked)


@pytest.mark.asyncio
async def test_repeat_makes_the_answer_as_long_as_wanted() -> None:
    """The whole answer is said that many times."""
    assert said(await events(request("x", repeat=500))) == "You said: x\n" * 500


@pytest.mark.asyncio
async def test_delay_holds_back_each_piece() -> None:
    """No piece comes before its delay has passed on the one clock."""
    async with ManualClock() as manual:
        stream = Echo().stream(request("x", delay_ms=100))
        piece = asyncio.ensure_future(anext(stream))
        await manual.advance(0.099)
        assert not piece.done()
        await manual.advance(0.001)
        assert await piece == TextDelta("You ")
        await stream.aclose()


@pytest.mark.parametrize(
    ("settings", "about"),
    [
        ({"temperature": 0.2}, "no option called 'temperature'"),
        ({"delay_ms": "soon"}, "delay_ms must be a whole number from 0 to 60,000"),
        ({"delay_ms": -1}, "delay_ms must be"),
        ({"repeat": 0}, "repeat must be"),
        ({"repeat": 1.5}, "repeat must be"),
        ({"repeat": True}, "repeat must be"),
    ],
)
def test_option_that_cannot_work_is_refused_before_anything_starts(
    settings: dict[str, Any], about: str
) -> None:
    """The error names the option, and the hint says what to do."""
    with pytest.raises(ProviderError, match=about) as caught:
        Echo().check(request("x", **settings))
    assert caught.value.hint
    assert not caught.value.retryable


@pytest.mark.asyncio
async def test_echo_is_a_provider_with_one_model() -> None:
    """It can be made by its name, and lists its model."""
    echo = make("echo")
    assert isinstance(echo, Provider)
    assert [model.id for model in await echo.models()] == ["echo"]
    await echo.aclose()
