"""Answer the messages of one room, as a platform delivers them: some to several processes.

Arguments: the store's place, the processes' names with commas between them, how many messages, a file
in which each model call is noted, and "hang" for a model that never ends its answers. Says "ready",
waits for a line, then tells the reply to each message. Several processes are forked from this one, once
everything is loaded.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from typing import TYPE_CHECKING

from teller import Known, tell  # type: ignore[import-not-found] # beside this file

import convostore
import convostore.storage.asyncpg_writing
import convostore.storage.migrate
import convostore.storage.postgres
import convostore.storage.sqlite
import convostore.store
from convostore.events import Finished, TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.events import Event
    from convostore.providers.provider import ChatRequest

ROOM = "telegram:42"
PATH, NAMES, TIMES, LOG, HANGS = (*sys.argv[1:], "")[:5]


class Noted(Known):  # type: ignore[misc] # of a module that mypy does not see
    """A model whose calls are noted, in their order, when they begin and when they end."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Note the call, and answer."""
        note("begin")
        yield TextDelta("to " + request.messages[-1].text)
        await asyncio.sleep(60 if HANGS else 0.02)
        note("end")
        yield Finished()


def note(what: str) -> None:
    """Write one line after all others, whoever wrote those."""
    file = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (what + "\n").encode())
    os.close(file)


async def deliver(name: str) -> None:
    """Deliver each message: to all processes the same one, and one of this process's own."""
    place = PATH if "://" in PATH else os.fsdecode(PATH)
    async with convostore.open(place, provider=Noted()) as store:
        for number in range(int(TIMES)):
            for key in (f"{number}", f"{name}.{number}") if name else (f"{number}",):
                chat = await store.get_or_create(ROOM)
                async with chat.stream(f"message {key}", idempotency_key=key) as turn:
                    await anext(turn)
                    tell("shown", key)
                    reply = await turn.drain()
                tell("answered", key, reply.id, reply.text)


def fork(name: str) -> int:
    """Deliver in another process; return its id."""
    if (pid := os.fork()) == 0:
        try:
            asyncio.run(deliver(name))
        except BaseException:  # noqa: BLE001 - the fork must not go on as its parent does
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


def main() -> None:
    """Deliver in all processes at the same moment, here where it is one."""
    tell("ready")
    sys.stdin.readline()
    names = NAMES.split(",")
    if len(names) == 1:
        asyncio.run(deliver(*names))
        return
    running = [fork(name) for name in names]
    ended = [os.waitpid(pid, 0)[1] for pid in running]
    sys.exit(1 if any(ended) else 0)


main()
