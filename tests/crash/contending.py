"""Append to rooms that other processes append to as well, sometimes only at an expected head.

Arguments: the store's place, the process's name, how many appends each of four tasks makes.
Tells each append before it begins and after it ended, with the machine's clock.
"""

from __future__ import annotations

import asyncio
import sys
import time

from teller import tell  # type: ignore[import-not-found] # beside this file

import convostore
from convostore import Message
from convostore.errors import HeadMovedError, StoreError

TASKS, ROOMS = 4, 3


async def append(store: convostore.Store, name: str, task: int, times: int) -> None:
    """Append to one room after the other; what has an unknown end is not tried again."""
    for number in range(times):
        room, text = f"room{(task + number) % ROOMS}", f"{name}.{task}.{number}"
        chat = await opened(store, room)
        pair = (Message.user(text), Message.assistant("to " + text))
        last = (await chat.history())[-1:]
        careful = number % 2 == 1
        tell("began", room, text, time.monotonic_ns())
        try:
            if careful:
                stored = await chat.append(*pair, expected_head=last[0].id if last else None)
            else:
                stored = await chat.append(*pair)
        except HeadMovedError:
            tell("moved", room, text)
        except StoreError:
            tell("unknown", room, text)
        else:
            head = (last[0].seq if last else 0) if careful else None
            tell("stored", room, text, [one.seq for one in stored], time.monotonic_ns(), head)


async def opened(store: convostore.Store, room: str) -> convostore.Conversation:
    """Open a room, however often the connection is cut meanwhile."""
    while True:
        try:
            return await store.get_or_create(room)
        except StoreError:
            await asyncio.sleep(0.05)


async def main(place: str, name: str, times: int) -> None:
    """Run all tasks."""
    async with convostore.open(place) as store:
        await asyncio.gather(*(append(store, name, task, times) for task in range(TASKS)))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
