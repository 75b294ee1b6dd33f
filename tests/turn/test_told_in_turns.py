"""What turns tell a model: tools where it takes them, and who speaks where there are several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convostore import Message
from convostore.events import Finished, ToolCallDelta, ToolResultDelta
from convostore.parts import ToolCallPart, ToolResultPart
from convostore.providers.provider import ChatMessage

if TYPE_CHECKING:
    from convostore import Conversation
    from convostore.testing import ScriptedProvider


@pytest.mark.asyncio
async def test_provider_that_takes_tools_is_told_of_earlier_calls(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """What it called, and what the tools answered, goes along with the next question."""
    provider.takes_tools = True
    provider.script(
        ToolCallDelta("a", "look", "{}"), ToolResultDelta("a", "look", "a cat"), Finished()
    )
    await chat.send("What is there?")
    provider.answer("A cat.")
    await chat.send("Well?")
    assert provider.requests[-1].messages == (
        ChatMessage("user", "What is there?"),
        ChatMessage("assistant", "", parts=(ToolCallPart("a", "look", "{}"),)),
        ChatMessage("tool", "a cat", parts=(ToolResultPart("a", "look", "a cat"),)),
        ChatMessage("user", "Well?"),
    )


@pytest.mark.asyncio
async def test_provider_that_takes_no_tools_gets_what_it_got_before(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """A reply of calls alone says nothing to it."""
    provider.script(ToolCallDelta("a", "look", "{}"), Finished())
    await chat.send("What is there?")
    provider.answer("Nothing.")
    await chat.send("Well?")
    assert provider.requests[-1].messages == (ChatMessage("user", "What is there?\n\nWell?"),)


@pytest.mark.asyncio
async def test_question_in_a_room_is_told_with_who_asks_it(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """So is the same question when it is answered again, and what a far side is told alone."""
    provider.answer("Hello Anna")
    await chat.send("Hi", author="Anna")
    assert provider.requests[-1].messages == (ChatMessage("user", "Hi", author="Anna"),)
    await chat.append(Message.user("Look at that", author="Anna"))
    provider.answer("Hello Ben")
    await chat.send("Hi", author="Ben")
    provider.answer("Welcome, Ben")
    async with chat.regenerate() as turn:
        await turn.drain()
    for request in provider.requests[1:]:
        assert request.messages[-1].text == "Anna: Look at that\n\nBen: Hi"
        assert request.question == "Ben: Hi"
