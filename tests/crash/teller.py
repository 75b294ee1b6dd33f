"""What a child tells its test, one line each, and the answers that both of them know."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from typing import TYPE_CHECKING, Any

from convostore.events import Finished, TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.events import Event
    from convostore.providers.provider import ChatRequest, ModelInfo
    from convostore.records import RemoteThread


def tell(kind: str, *values: Any) -> None:
    """Write one line at once; a pipe takes it whole, so a kill never cuts it."""
    os.write(sys.stdout.fileno(), (json.dumps([kind, *values]) + "\n").encode())


def pieces(question: str) -> list[str]:
    """Return the answer to a question, in pieces of one to 700 characters, the same each time."""
    chance = random.Random(question)
    return [
        f"<{n}:" + "abcdefghij" * chance.choice((0, 0, 1, 2, 70)) + ">"
        for n in range(chance.randrange(20, 400))
    ]


class Known:
    """A provider whose every answer is known from its question."""

    name = "known"

    def check(self, request: ChatRequest) -> None:
        """Refuse nothing."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Yield the pieces, with a short wait here and there."""
        # A question whose own answer is empty stands before this one, in the same message.
        question = request.messages[-1].text.rpartition("\n\n")[2]
        for number, piece in enumerate(pieces(question)):
            await asyncio.sleep(0.004 if number % 5 == 0 else 0)
            yield TextDelta(piece)
        yield Finished(model="known-1", finish_reason="stop")

    async def recover(self, remote: RemoteThread, anonymous_user_id: str) -> Finished | None:
        """Return None: there is no far side."""
        return None

    async def models(self) -> list[ModelInfo]:
        """List nothing."""
        return []

    async def aclose(self) -> None:
        """Hold nothing."""
