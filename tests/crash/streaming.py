"""Stream four conversations at once, for ever, telling what was acknowledged and shown.

Arguments: the store's file, the run's number. A conversation that is there is gone on with.
"""

from __future__ import annotations

import asyncio
import sys

from teller import Known, tell  # type: ignore[import-not-found] # beside this file

import convostore


async def talk(store: convostore.Store, name: str, run: str) -> None:
    """Ask one question after the other in the conversation *name*."""
    chat = await store.get_or_create(name)
    tell("opened", name, chat.id)
    for number in range(1_000_000):
        question = f"{name} {run} {number}"
        tell("asking", name, question)
        async with chat.stream(question, wait_s=0) as turn:
            tell("asked", name, question, turn.reply.id)
            async for delta in turn:
                tell("shown", name, question, delta.text)
        tell("ended", name, question, turn.reply.text)


async def main(path: str, run: str) -> None:
    """Run all four."""
    async with convostore.open(path, provider=Known()) as store:
        await asyncio.gather(*(talk(store, f"room{n}", run) for n in range(4)))


asyncio.run(main(sys.argv[1], sys.argv[2]))
