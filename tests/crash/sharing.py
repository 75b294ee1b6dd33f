"""Append with sixteen tasks to conversations that other processes append to as well.

Arguments: the store's file, the process's name, how many appends each task makes. Says "ready",
waits for a line, works, then tells each append with its begin and end by the machine's clock.
"""

from __future__ import annotations

import asyncio
import sys
import time

from teller import tell  # type: ignore[import-not-found] # beside this file

import convostore
from convostore import Message

TASKS, ROOMS = 16, 4


async def append(store: convostore.Store, name: str, task: int, times: int) -> None:
    """Append to one room after the other."""
    for number in range(times):
        room = f"room{(task + number) % ROOMS}"
        chat = await store.get_or_create(room)
        text = f"{name}.{task}.{number}"
        begin = time.monotonic_ns()
        stored = await chat.append(Message.user(text), Message.assistant("to " + text))
        tell(room, text, [one.seq for one in stored], begin, time.monotonic_ns())


async def main(path: str, name: str, times: int) -> None:
    """Open the store when told to, as all processes do at the same moment."""
    tell("ready")
    sys.stdin.readline()
    async with convostore.open(path) as store:
        await asyncio.gather(*(append(store, name, task, times) for task in range(TASKS)))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
