"""A provider of gpt4free in the place of ours: killed in the middle of an answer, and gone on with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

from g4f.Provider.base_provider import AsyncGeneratorProvider, ProviderModelMixin
from g4f.providers.response import FinishReason, Reasoning, Usage

import convostore
from convostore.integrations.g4f_provider import G4FProvider


class Loopback(AsyncGeneratorProvider, ProviderModelMixin):  # type: ignore[misc] # see the settings of mypy
    """A provider of theirs that asks nobody."""

    working = True
    default_model = "loop-1"
    models = ["loop-1", "loop-2"]  # noqa: RUF012 - as theirs are written

    @classmethod
    async def create_async_generator(
        cls, model: str, messages: list[dict[str, Any]], **kwargs: Any
    ) -> Any:
        """Say how much was said; the second question is the process's end, in the answer's middle."""
        assert kwargs["temperature"] == 0.5
        yield Reasoning("let me count")
        yield f"{model}: "
        if len(messages) > 1 and sys.argv[1] == "first":
            yield "of this much is on disk " * 400
            await asyncio.sleep(1)  # within a quarter of a second it is
            os.kill(os.getpid(), signal.SIGKILL)
        yield f"{len(messages)} messages"
        yield Usage(promptTokens=3, completionTokens=2)
        yield FinishReason("stop")


async def main(questions: tuple[str, ...], where: str) -> None:
    """Ask, and tell what is in the conversation then."""
    provider = G4FProvider(Loopback, temperature=0.5)
    async with convostore.open(where, provider=provider) as store:
        chat = await store.get_or_create("telegram:42", model="loop-1")
        for question in questions:
            await chat.send(question)
        told = [(one.role, one.status, one.text[:40]) for one in await chat.history()]
        offered = [one.id for one in await provider.models()]
        sys.stdout.write(json.dumps({"told": told, "models": offered}))


asyncio.run(main(("Hi", "More") if sys.argv[1] == "first" else ("Again",), sys.argv[2]))
