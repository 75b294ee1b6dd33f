"""Runs of pydantic-ai with the keeper: with tools, streamed, failing; each leaves what was said."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessagesTypeAdapter
from pydantic_ai.models.test import TestModel

import convostore
from convostore.integrations.pydantic_ai import MessageHistory
from convostore.records import Message


def same(one: Any, other: Any) -> bool:
    """Tell whether two histories are the same, to the last byte of their JSON."""
    texts = [ModelMessagesTypeAdapter.dump_json(list(messages)) for messages in (one, other)]
    return bool(one == other) and bool(texts[0] == texts[1])


async def main(where: str) -> None:
    """Try them one after the other, in one conversation."""
    agent = Agent(TestModel(), instructions="Be a helpful assistant.")

    @agent.tool_plain
    def look(place: str) -> dict[str, Any]:
        return {"z": place, "a": [1, None]}

    async with convostore.open(where) as store:
        history = MessageHistory("user:42", store)
        result = await agent.run("one", capabilities=[history.keeper()])
        assert same(await history.load(), result.all_messages())
        before = await history.load()
        keeper = [history.keeper()]
        async with agent.run_stream("two", message_history=before, capabilities=keeper) as streamed:
            await streamed.get_output()
        assert same(await history.load(), streamed.all_messages())
        failing = Agent(TestModel(), tools=[fail])
        try:
            await failing.run("three", capabilities=[history.keeper()])
        except ValueError:
            left = (await history.load())[len(streamed.all_messages()) :]
            assert [one.kind for one in left] == ["request", "response"]
        await history.clear()
        chat = await store.resume("user:42")
        await chat.append(Message.user("of another origin"), Message.assistant("indeed"))
        result = await agent.run("go on", message_history=await history.load())
        await history.append(result.new_messages())
        told = [
            str(getattr(part, "content", "")) for one in await history.load() for part in one.parts
        ]
        assert told[:3] == ["of another origin", "indeed", "go on"]
        assert not (await store.check(deep=True)).problems


def fail() -> str:
    """Fail.

    Raises:
        ValueError: always.
    """
    raise ValueError("on purpose")


asyncio.run(main(sys.argv[1]))
