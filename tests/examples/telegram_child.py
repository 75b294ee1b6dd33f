"""The Telegram bot of the examples in processes that a test may kill, one after the other.

    telegram_child.py STORE URL LOG

For each line, "hang" or "answer", it forks one, once everything is loaded, says its id, and then how it
has ended. Its provider notes each call in LOG.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

import convostore
import convostore.storage.asyncpg_writing
import convostore.storage.migrate
import convostore.storage.postgres
import convostore.storage.sqlite
import convostore.store
from convostore.events import Event, Finished, TextDelta
from convostore.providers.echo import Echo
from examples import telegram_bot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.providers.provider import ChatRequest


class Noting(Echo):
    """Notes each call, and hangs or answers."""

    def __init__(self, how: str) -> None:
        self._how = how

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Note the call; say half of the answer, or all of it."""
        with Path(sys.argv[3]).open("a") as log:
            log.write(json.dumps({"messages": len(request.messages)}) + "\n")
        if self._how == "hang":
            yield TextDelta("half")
            await asyncio.sleep(60)
        yield TextDelta("a whole answer")
        yield Finished()


def run(how: str) -> None:
    """Be the bot until somebody ends it."""
    place = sys.argv[1]
    memory = convostore.open(place if "://" in place else Path(place), provider=Noting(how))
    telegram_bot.build(memory, "1:token", sys.argv[2]).run_polling(timeout=0)


def fork(how: str) -> int:
    """Be the bot in another process; return its id."""
    if (pid := os.fork()) == 0:
        try:
            run(how)
        except BaseException:  # noqa: BLE001 - the fork must not go on as its parent does
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


if __name__ == "__main__":
    for line in sys.stdin:
        pid = fork(line.strip())
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)
