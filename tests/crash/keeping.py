"""Hold ephemeral conversations, keep every other one, and tell what was acknowledged, without end.

Arguments: the store's file or URL, the run's number, and how many messages a conversation has.
"""

from __future__ import annotations

import asyncio
import sys

from teller import Known, tell  # type: ignore[import-not-found] # beside this file

import convostore
from convostore import Message

MESSAGES = int(sys.argv[3])


async def hold(store: convostore.Store, run: str, task: int) -> None:
    """Fill conversations; keep every other one, and go on with it."""
    for number in range(1_000_000):
        name = f"w{run}x{task}x{number}"
        keeps = number % 2 == 0
        kind = "kept" if keeps else "fleeting"
        chat = await store.create(title=f"{kind} {name}", key=name, ephemeral=True)
        file = await store.attach(f"{kind} file {name}".encode(), ephemeral=True)
        said = [Message.user(f"{kind} {name} {at}") for at in range(MESSAGES - 1)]
        await chat.append(*said, Message.user(f"{kind} {name}", attachments=[file]))
        if not keeps:
            await chat.send(f"{kind} {name} asked")
            continue
        tell("keeping", name)
        await chat.keep()
        tell("kept", name)
        await chat.append(Message.assistant(f"kept {name} more"))
        tell("more", name)


async def main(path: str, run: str) -> None:
    """Do it with three tasks."""
    async with convostore.open(path, provider=Known()) as store:
        await asyncio.gather(*(hold(store, run, task) for task in range(3)))


asyncio.run(main(sys.argv[1], sys.argv[2]))
