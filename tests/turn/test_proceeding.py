"""Going on from what was appended, a tool's result above all: answered once, whoever asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore import Message, errors
from convostore.events import Finished, ToolCallDelta
from convostore.parts import ToolCallPart, ToolResultPart
from convostore.providers import OpenAIProvider
from convostore.providers.provider import ChatMessage
from convostore.testing import Fail, ScriptedProvider, Silence
from tests.canaries import strand
from tests.providers.completions import DONE, END, chunk, serving, text

if TYPE_CHECKING:
    from convostore import Conversation, Store
    from convostore.turn import Turn
    from tests.engines import Where

CALL = ToolCallDelta("c1", "rain", '{"at": "Kyoto"}')


@pytest.fixture
def provider() -> ScriptedProvider:
    """Give a provider that takes tools."""
    return ScriptedProvider(takes_tools=True)


async def called(chat: Conversation, provider: ScriptedProvider) -> None:
    """Let the model call a tool, and append what it answered."""
    provider.script("Let me see.", CALL, Finished(finish_reason="tool_calls"))
    await chat.send("Will it rain?")
    await chat.append(Message.tool("c1", "no", name="rain"))


async def proceeded(chat: Conversation) -> Turn:
    """Go on, to the end."""
    async with chat.proceed() as turn:
        await turn.drain()
    return turn


@pytest.mark.asyncio
async def test_a_model_goes_on_from_a_tools_result(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """It is told the call and the result, and no question is added."""
    await called(chat, provider)
    provider.answer("It stays dry.")
    turn = await proceeded(chat)
    assert turn.reply.text == "It stays dry."
    assert turn.user.parts == (ToolResultPart("c1", "rain", "no"),)
    assert [one.role for one in await chat.history()] == ["user", "assistant", "tool", "assistant"]
    assert [one.role for one in provider.requests[-1].messages] == ["user", "assistant", "tool"]
    assert provider.requests[-1].messages[-1] == ChatMessage(
        "tool", "no", parts=(ToolResultPart("c1", "rain", "no"),)
    )
    provider.answer("Tomorrow too.")
    await chat.send("And tomorrow?")
    assert len(provider.requests[-1].messages) == 5


@pytest.mark.asyncio
async def test_a_result_that_comes_late_is_what_is_answered(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Another exchange came in between: the call is told again, at the end, with its result."""
    provider.script("Let me see.", CALL, Finished(finish_reason="tool_calls"))
    await chat.send("Will it rain?")
    provider.answer("e4")
    await chat.send("And chess?")
    await chat.append(Message.tool("c1", "wet"))
    provider.answer("It rains.")
    await proceeded(chat)
    roles = [one.role for one in provider.requests[-1].messages]
    assert roles == ["user", "assistant", "user", "assistant", "tool"]
    assert provider.requests[-1].question == "wet"


@pytest.mark.asyncio
async def test_a_question_that_was_appended_is_answered(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Also by a provider that knows nothing of tools."""
    provider.takes_tools = False
    await chat.append(Message.user("Hi", author="Ada"))
    provider.answer("Hello")
    turn = await proceeded(chat)
    assert (turn.user.text, turn.reply.text) == ("Hi", "Hello")
    assert provider.requests[-1].messages == (ChatMessage("user", "Hi", author="Ada"),)


@pytest.mark.asyncio
async def test_what_is_answered_is_not_asked_again(
    chat: Conversation, provider: ScriptedProvider, store: Store
) -> None:
    """A repeat, here or by another object, gets the answer that is there."""
    await called(chat, provider)
    provider.answer("It stays dry.")
    first = await proceeded(chat)
    other = await store.resume(chat.id)
    for again in (await proceeded(chat), await proceeded(other)):
        assert (again.reply.id, again.reply.text) == (first.reply.id, "It stays dry.")
    assert len(provider.requests) == 2


@pytest.mark.asyncio
async def test_those_who_go_on_at_once_ask_once(
    chat: Conversation, provider: ScriptedProvider, store: Store, path: Where
) -> None:
    """The others follow the answer of the first, also from a store of their own."""
    await called(chat, provider)
    provider.answer("It ", "stays dry.")
    async with convostore.open(path, provider=provider) as second:
        others = [await each.resume(chat.id) for each in (store, second, second)]
        turns = await asyncio.gather(*(proceeded(one) for one in (chat, *others)))
    assert {one.reply.text for one in turns} == {"It stays dry."}
    assert len({one.reply.id for one in turns}) == 1
    assert len(provider.requests) == 2


@pytest.mark.asyncio
async def test_an_answer_that_failed_is_made_anew(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Beside the first one, which stays."""
    await called(chat, provider)
    provider.script("It", Fail(errors.ProviderConnectError("gone", provider="scripted")))
    with pytest.raises(errors.ProviderConnectError):
        await proceeded(chat)
    provider.answer("It stays dry.")
    turn = await proceeded(chat)
    assert [one.text for one in await chat.siblings()] == ["It", "It stays dry."]
    assert (await chat.history())[-1].id == turn.reply.id


@pytest.mark.asyncio
async def test_an_answer_whose_writer_died_is_made_anew(
    chat: Conversation, provider: ScriptedProvider, store: Store, path: Where
) -> None:
    """Whoever is started again goes on at once, from the same result."""
    await called(chat, provider)
    gate = provider.gate("half")
    provider.script("It", gate, Silence())
    dying = asyncio.create_task(proceeded(chat))
    await gate.arrive()
    await asyncio.to_thread(strand, path)
    provider.answer("It stays dry.")
    again = await store.resume(chat.id)
    assert (await proceeded(again)).reply.text == "It stays dry."
    assert provider.requests[-1].messages == provider.requests[-2].messages
    assert [one.role for one in await again.history()] == ["user", "assistant", "tool", "assistant"]
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying


@pytest.mark.asyncio
async def test_where_there_is_nothing_to_answer_nothing_is_asked(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """An empty conversation, and a system text alone."""
    for messages in ((), (Message.system("Be brief."),)):
        await chat.append(*messages)
        with pytest.raises(errors.MessageNotFoundError, match="nothing to answer"):
            await proceeded(chat)
    assert not provider.requests


@pytest.mark.asyncio
async def test_a_provider_without_tools_is_not_told_of_a_result(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """It would be asked the question before it, which it has answered."""
    await called(chat, provider)
    provider.takes_tools = False
    with pytest.raises(errors.ProviderOptionError):
        await proceeded(chat)
    assert len(await chat.history()) == 3


@pytest.mark.asyncio
async def test_in_a_room_turns_go_on_one_by_one(store: Store, provider: ScriptedProvider) -> None:
    """A conversation with a key is gone on with where it stands by now."""
    room = await store.get_or_create(key="room")
    await called(room, provider)
    other = await store.get_or_create(key="room")
    provider.answer("It stays dry.")
    provider.answer("Yes")
    await proceeded(other)
    await other.send("Sure?")
    turn = await proceeded(room)
    assert turn.reply.text == "Yes"
    assert len(provider.requests) == 3


@pytest.mark.asyncio
async def test_a_loop_of_tools_runs_against_a_server(path: Where) -> None:
    """Ask, call, append, go on: the server gets each call with its result."""
    call = {"index": 0, "id": "c1", "function": {"name": "rain", "arguments": '{"at": "Kyoto"}'}}
    async with (
        serving() as server,
        convostore.open(path, provider=OpenAIProvider("m", server.url)) as store,
    ):
        server.answer(chunk({"tool_calls": [call]}, "tool_calls"), DONE)
        server.answer(*text("It stays dry."), END, DONE)
        chat = await store.create()
        reply = await chat.send("Will it rain?")
        while calls := [part for part in reply.parts if isinstance(part, ToolCallPart)]:
            await chat.append(*(Message.tool(one.id, f"no rain: {one.args}") for one in calls))
            async with chat.proceed() as turn:
                reply = await turn.drain()
        assert reply.text == "It stays dry."
        assert server.sent["messages"][1]["tool_calls"][0]["id"] == "c1"
        assert server.sent["messages"][2] == {
            "role": "tool",
            "content": 'no rain: {"at": "Kyoto"}',
            "tool_call_id": "c1",
        }
