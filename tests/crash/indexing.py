"""Append, search, rename, delete branches and reindex without end, telling what was acknowledged.

Arguments: the store's file or URL, the run's number, and what to do beside the writing: search or
reindex.
"""

from __future__ import annotations

import asyncio
import sys

from teller import tell  # type: ignore[import-not-found] # beside this file

import convostore
from convostore import Message
from convostore.storage import indexing

WORDS = 40  # in each message, so that putting them in takes a while
SHARED = "zebra"


async def write(store: convostore.Store, run: str, task: int) -> None:
    """Append messages of one's own words, and now and then take some away again."""
    chat = await store.create(title=f"title{run}x{task}")
    tell("titled", f"title{run}x{task}")
    for number in range(1_000_000):
        name = f"w{run}x{task}x{number}"
        text = f"{name} {SHARED} " + " ".join(f"{name}y{word}" for word in range(WORDS))
        await chat.append(Message.user(text), Message.assistant(f"to{name}"))
        tell("said", name)
        if number % 7 == 3:
            gone = await chat.append(Message.user(f"gone{name}"))
            tell("removing", f"gone{name}")
            await chat.delete_branch(gone[0].id)
            tell("removed", f"gone{name}")
        if number % 5 == 4:
            await chat.rename(f"title{run}x{task}x{number}")
            tell("titled", f"title{run}x{task}x{number}")


async def search(store: convostore.Store) -> None:
    """Search, which catches up with the marks."""
    while True:
        await store.search(SHARED, limit=5)


async def reindex(store: convostore.Store) -> None:
    """Make the whole index again."""
    while True:
        await store.reindex()


async def main(path: str, run: str, what: str) -> None:
    """Write with two tasks, and search or reindex beside them."""
    indexing.IDLE_S = 0.001  # the writer too indexes whenever it can
    async with convostore.open(path) as store:
        beside = {"search": search, "reindex": reindex}[what]
        await asyncio.gather(*(write(store, run, task) for task in range(2)), beside(store))


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3]))
