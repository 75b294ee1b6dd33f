"""Append and stream until the file may not grow, then have room again; say what came of it.

Arguments: the store's file. Prints JSON lines.
"""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import convostore
from convostore import Message
from convostore.errors import StoreError
from convostore.testing import ScriptedProvider

ROOM_BYTES = 700_000


def allow(size: int) -> None:
    """Let this process's files grow to *size* bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def tell(*values: Any) -> None:
    """Print one line."""
    print(json.dumps(values), flush=True)


async def fill(chat: convostore.Conversation) -> list[str]:
    """Append until there is no room; return what was acknowledged."""
    kept: list[str] = []
    while True:
        text = f"{len(kept)} " + "x" * 20_000
        try:
            await chat.append(Message.user(text))
        except StoreError as error:
            tell("error", type(error).__name__, str(error), error.hint)
            return kept
        kept.append(text)


async def main(path: Path) -> None:
    """Fill, read, fail a stream, get room, go on."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    provider = ScriptedProvider()
    provider.otherwise = ("y" * 3000,) * 40
    async with convostore.open(path, provider=provider) as store:
        chat = await store.create()
        other = await store.create()
        allow(ROOM_BYTES)
        kept = await fill(chat)
        for _ in range(3):
            try:
                await other.send("z" * 20_000)
            except (StoreError, convostore.errors.ProviderError) as error:
                tell("error", type(error).__name__, str(error), error.hint)
        read = [one.text for one in await chat.history()]
        tell("read", read == kept, len(kept))
        allow(resource.RLIM_INFINITY)
        await chat.append(Message.user("room again"))
        again = [one.text for one in await chat.history()]
        tell("again", again == [*kept, "room again"])
        report = await store.check(deep=True)
        tell("check", list(report.problems))
    async with convostore.open(path) as store:
        chat = await store.resume(chat.id)
        tell("reopened", [one.text for one in await chat.history()] == [*kept, "room again"])


asyncio.run(main(Path(sys.argv[1])))
