"""The Telegram bot of the examples in a process that a test may kill.

    telegram_child.py STORE URL LOG hang|answer

Its provider notes each call in LOG.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

import convostore
from convostore.events import Event, Finished, TextDelta
from convostore.providers.echo import Echo
from examples import telegram_bot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.providers.provider import ChatRequest


class Noting(Echo):
    """Notes each call, and hangs or answers."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Note the call; say half of the answer, or all of it."""
        with Path(sys.argv[3]).open("a") as log:
            log.write(json.dumps({"messages": len(request.messages)}) + "\n")
        if sys.argv[4] == "hang":
            yield TextDelta("half")
            await asyncio.sleep(60)
        yield TextDelta("a whole answer")
        yield Finished()


if __name__ == "__main__":
    place = sys.argv[1]
    memory = convostore.open(place if "://" in place else Path(place), provider=Noting())
    telegram_bot.build(memory, "1:token", sys.argv[2]).run_polling(timeout=0)
