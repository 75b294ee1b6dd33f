"""LangChain's chat message history over a conversation, with and without an event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

import convostore
from convostore.errors import InvalidTextError
from convostore.integrations.langchain import Histories
from convostore.parts import ToolCallPart, ToolResultPart
from convostore.records import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines import Where

_CALL = {"name": "look", "args": {"b": 1, "a": [None, 1.5]}, "id": "c1", "type": "tool_call"}
MESSAGES = [
    SystemMessage("Be brief."),
    HumanMessage([{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": "x"}]),
    AIMessage("", tool_calls=[_CALL], id="run-1", additional_kwargs={"refusal": None}),
    ToolMessage("found", tool_call_id="c1", name="look", artifact={"n": 1}),
    AIMessage("Hello", usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
]


@pytest.fixture
def histories(path: Where) -> Iterator[Histories]:
    """Open a new store."""
    with Histories(path) as opened:
        yield opened


def test_messages_come_back_as_they_were(histories: Histories) -> None:
    """Of each kind, to the last field; what was cleared is gone from the history."""
    history = histories.get("user:42")
    history.add_messages(MESSAGES)
    assert histories.get("user:42").messages == MESSAGES
    assert histories.get("another").messages == []
    history.clear()
    assert history.messages == []
    history.add_user_message("anew")
    assert [one.content for one in history.messages] == ["anew"]


@pytest.mark.asyncio
async def test_each_method_is_there_in_a_loop(histories: Histories) -> None:
    """In whatever loop: the store is in none of them."""
    history = histories.get("user:42")
    await asyncio.gather(*(history.aadd_messages([one]) for one in MESSAGES))
    assert len(await history.aget_messages()) == len(history.messages) == len(MESSAGES)
    await history.aclear()
    assert await history.aget_messages() == []


def test_value_that_is_no_json_is_refused_with_the_whole_batch(histories: Histories) -> None:
    """In one line, and nothing is stored."""
    history = histories.get("user:42")
    bad = ToolMessage("x", tool_call_id="c1", artifact=object())
    with pytest.raises(InvalidTextError, match="JSON"):
        history.add_messages([HumanMessage("good"), bad])
    assert history.messages == []


def test_chat_of_another_origin_is_told_in_their_kinds(path: Where, histories: Histories) -> None:
    """What it says, calls and was told."""

    async def said() -> None:
        async with convostore.open(path) as store:
            chat = await store.create(key="user:42", system="Be brief.")
            call, result = (
                ToolCallPart("c1", "look", '{"a": 1}'),
                ToolResultPart("c1", "look", "ok"),
            )
            answer = Message.assistant("", parts=(call, result))
            await chat.append(Message.user("Hi", author="Ada"), answer)

    asyncio.run(said())
    found = histories.get("user:42").messages
    assert found == [
        SystemMessage("Be brief."),
        HumanMessage("Hi", name="Ada"),
        AIMessage("", tool_calls=[{**_CALL, "args": {"a": 1}}]),
        ToolMessage("ok", tool_call_id="c1", name="look"),
    ]


def test_histories_can_be_closed_twice(histories: Histories) -> None:
    """The block does so again."""
    histories.get("user:42").add_user_message("Hi")
    histories.close()
