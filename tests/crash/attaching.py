"""Attach bytes and refer to them without end, telling what was acknowledged.

Arguments: the store's file, the run's number.
"""

from __future__ import annotations

import asyncio
import random
import sys

from teller import tell  # type: ignore[import-not-found] # beside this file

import convostore
from convostore import Message
from convostore.storage.attachments import CHUNK_BYTES


async def attach(store: convostore.Store, run: str, task: int) -> None:
    """Take in new bytes, and some that others take in as well; refer to them, and drop a branch."""
    chance = random.Random(f"{run}.{task}")
    chat = await store.create(title=f"{run}.{task}")
    for number in range(1_000_000):
        seed = f"{run}.{task}.{number}" if chance.random() < 0.7 else f"shared {number % 5}"
        data = random.Random(seed).randbytes(chance.choice((0, 10, CHUNK_BYTES + 1)))
        part = await store.attach(data, name=seed)
        tell("attached", part.sha256, len(data))
        stored = await chat.append(Message.user(seed, attachments=[part]))
        tell("referred", part.sha256)
        if number % 4 == 3:
            tell("dropping", part.sha256)
            await chat.delete_branch(stored[-1].seq)
            tell("dropped", part.sha256)


async def main(path: str, run: str) -> None:
    """Do it with three tasks."""
    async with convostore.open(path) as store:
        await asyncio.gather(*(attach(store, run, task) for task in range(3)))


asyncio.run(main(sys.argv[1], sys.argv[2]))
