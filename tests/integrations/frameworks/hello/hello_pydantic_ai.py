"""The first example of pydantic-ai's page on histories: killed while the model is asked, gone on with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

import convostore
from convostore.integrations.pydantic_ai import MessageHistory


def joke(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Answer the first question; the second one is the process's end."""
    del info
    if len(messages) > 1 and sys.argv[1] == "first":
        os.kill(os.getpid(), signal.SIGKILL)
    return ModelResponse(parts=[TextPart(" | ".join(_texts(messages)))])


def _texts(messages: list[ModelMessage]) -> list[str]:
    parts: list[Any] = [part for one in messages for part in one.parts]
    return [str(part.content) for part in parts]


async def main(questions: tuple[str, ...], where: str) -> None:
    """Ask, and tell what is in the history then."""
    agent = Agent(FunctionModel(joke), instructions="Be a helpful assistant.")
    async with convostore.open(where) as store:
        history = MessageHistory("user:42", store)
        for question in questions:
            await agent.run(
                question, message_history=await history.load(), capabilities=[history.keeper()]
            )
        sys.stdout.write(json.dumps(_texts(await history.load())))


_FIRST = ("Tell me a joke.", "Explain?")
asyncio.run(main(_FIRST if sys.argv[1] == "first" else ("Another one.",), sys.argv[2]))
