"""Append, create and close without end, telling what was acknowledged.

Arguments: the store's file, the run's number, and what to do: append, create or close.
"""

from __future__ import annotations

import asyncio
import sys

from teller import tell  # type: ignore[import-not-found] # beside this file

import convostore
from convostore import Message


async def append(store: convostore.Store, run: str, task: int) -> None:
    """Append pairs to a conversation that all tasks share."""
    chat = await store.get_or_create("shared")
    for number in range(1_000_000):
        text = f"{run}.{task}.{number}"
        stored = await chat.append(Message.user(text), Message.assistant("to " + text))
        tell("appended", text, stored[0].seq)


async def create(store: convostore.Store, run: str, task: int) -> None:
    """Make conversations that begin with a system text."""
    for number in range(1_000_000):
        title = f"{run}.{task}.{number}"
        chat = await store.create(title=title, system="be " + title)
        tell("created", title, chat.id)


async def close(path: str, run: str) -> None:
    """Open the store, append and close it, again and again."""
    for number in range(1_000_000):
        async with convostore.open(path) as store:
            chat = await store.get_or_create("shared")
            text = f"{run}.0.{number}"
            stored = await chat.append(Message.user(text), Message.assistant("to " + text))
            tell("appended", text, stored[0].seq)
            tell("closing")
        tell("closed")


async def main(path: str, run: str, what: str) -> None:
    """Do it with four tasks, or close alone."""
    if what == "close":
        await close(path, run)
        return
    async with convostore.open(path) as store:
        do = {"append": append, "create": create}[what]
        await asyncio.gather(*(do(store, run, task) for task in range(4)))


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3]))
