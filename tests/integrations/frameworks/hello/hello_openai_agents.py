"""The first example of the SDK's page on sessions: killed while the model is asked, and gone on with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

from agents import Agent, RunConfig, Runner
from agents.testing import ScriptedModel, assistant_message

import convostore
from convostore.integrations.openai_agents import ConvostoreSession

_QUIETLY = RunConfig(tracing_disabled=True)


class Killing(ScriptedModel):  # type: ignore[misc] # see the settings of mypy
    """A model of which the second call is the process's end."""

    async def get_response(self, *args: Any, **kwargs: Any) -> Any:
        """Answer, or kill.

        Raises:
            UnexpectedModelCall: from the SDK: there is no answer left.
        """
        if not self.remaining_steps:
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().get_response(*args, **kwargs)


async def first(where: str) -> None:
    """Ask two questions; the second has no answer."""
    model = Killing([[assistant_message("San Francisco")]])
    agent = Agent(name="Assistant", instructions="Reply very concisely.", model=model)
    async with convostore.open(where) as store:
        session = ConvostoreSession("conversation_123", store)
        for question in ("What city is the Golden Gate Bridge in?", "What state is it in?"):
            await Runner.run(agent, question, session=session, run_config=_QUIETLY)


async def again(where: str) -> None:
    """Ask a third one, and tell what the model was told."""
    model = ScriptedModel([[assistant_message("California, and about 39 million")]])
    agent = Agent(name="Assistant", instructions="Reply very concisely.", model=model)
    async with convostore.open(where) as store:
        session = ConvostoreSession("conversation_123", store)
        await Runner.run(agent, "What's the population?", session=session, run_config=_QUIETLY)
    told = model.last_call.input if model.last_call else []
    texts = [_text(one) for one in told]
    sys.stdout.write(json.dumps(texts))


def _text(item: Any) -> str:
    content = item["content"]
    return content if isinstance(content, str) else "".join(one["text"] for one in content)


asyncio.run((first if sys.argv[1] == "first" else again)(sys.argv[2]))
