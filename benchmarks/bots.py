"""What a message through a bot costs beside its model, in a store of many conversations.

    python -m benchmarks.bots [--conversations 100000] [--messages 1000] [--url URL] [--out FILE]

A message is what a handler does: find the room by its key, ask with the platform's id and the author,
have the stored answer. Of that the time of the provider alone is taken away, which says its pieces
without waiting. "Told again" is the same message once more: no model is asked.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import convostore
from benchmarks.stopwatch import percentile
from convostore.events import Finished, TextDelta
from convostore.formats.foreign import ForeignConversation, ForeignMessage
from convostore.parts import TextPart
from convostore.providers.echo import Echo
from convostore.providers.provider import ChatMessage, ChatRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from convostore import Store
    from convostore.events import Event

GOAL_MS: Final = 3.0
_PIECES: Final = 20  # of an answer of 2,000 characters
_EACH: Final = 4  # messages of a conversation that is there already
_ROOMS: Final = "UPDATE conversation SET key = 'telegram:' || source_id WHERE source = 'chatgpt'"


class Quick(Echo):
    """Says an answer of 2,000 characters in twenty pieces, and waits for nothing."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event]:  # noqa: ARG002 - it is the same for all
        """Say it."""
        for _ in range(_PIECES):
            yield TextDelta("It works in small steps. " * 4)
        yield Finished(finish_reason="stop")


def _conversations(count: int) -> Iterator[ForeignConversation]:
    for number in range(count):
        said = tuple(
            ForeignMessage(
                source_id=f"{number}.{at}",
                parent=f"{number}.{at - 1}" if at else None,
                role="assistant" if at % 2 else "user",
                parts=(TextPart(f"What of {number} and {at}? " * (30 if at % 2 else 4)),),
            )
            for at in range(_EACH)
        )
        yield ForeignConversation(
            source="chatgpt", source_id=f"{number}", messages=said, head=said[-1].source_id
        )


async def _fill(where: Path | str, conversations: int) -> None:
    async with convostore.open(where) as store:
        async for _ in store.import_(_conversations(conversations), format="chatgpt"):
            pass
        await store.reindex()  # or that would go on beside what is measured


def fill(where: Path | str, conversations: int) -> None:
    """Store so many conversations, and name each as the room of a bot."""
    asyncio.run(_fill(where, conversations))
    if isinstance(where, Path):
        with closing(sqlite3.connect(where)) as database, database:
            database.execute(_ROOMS)
    else:
        import psycopg

        with psycopg.connect("postgresql://" + where.partition("://")[2]) as server:
            server.execute(_ROOMS)


async def _alone_ms(provider: Quick, times: int) -> float:
    request = ChatRequest(messages=(ChatMessage("user", "How?"),))
    took = []
    for _ in range(times):
        begin_s = time.perf_counter()
        async for _event in provider.stream(request):
            pass
        took.append((time.perf_counter() - begin_s) * 1e3)
    return percentile(sorted(took), 0.5)


async def _told(store: Store, room: str, number: int) -> float:
    begin_s = time.perf_counter()
    chat = await store.get_or_create(room)
    reply = await chat.send(
        f"How does {number} work, and why? " * 15,
        idempotency_key=f"{number}",
        author="Ann",
        author_id="telegram:1",
    )
    assert reply.status == "completed"
    return (time.perf_counter() - begin_s) * 1e3


async def measured(where: Path | str, conversations: int, messages: int) -> list[str]:
    """Return a line of the table for messages, and one for messages that are told again."""
    chance, provider = random.Random(1), Quick()
    rooms = [f"telegram:{chance.randrange(conversations)}" for _ in range(messages)]
    async with convostore.open(where, provider=provider) as store:
        await _told(store, "telegram:warm", -1)
        alone_ms = await _alone_ms(provider, messages)
        lines = []
        for name in ("told once", "told again"):
            took = [await _told(store, room, number) for number, room in enumerate(rooms)]
            beside = sorted(one - (alone_ms if name == "told once" else 0) for one in took)
            figures = (f"{percentile(beside, at):.2f} ms" for at in (0.5, 0.95, 0.99))
            lines.append(f"| {conversations:,} | {name} | {' | '.join(figures)} |")
        assert (await store.find(rooms[0])).message_count > _EACH
    return lines


def main() -> None:
    """Read what is typed, measure, and print or keep the table."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else ""
    )
    parser.add_argument("--conversations", type=int, action="append", help="several times")
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--url", help="an empty database, for one size; by default a new file")
    parser.add_argument("--out", type=Path, help="keep the table in this file")
    typed = parser.parse_args()
    lines = [
        "| conversations | a message | median | 95 of 100 | 99 of 100 |",
        "|--:|---|--:|--:|--:|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for conversations in typed.conversations or [1000, 100_000]:
            where = typed.url or Path(folder) / f"{conversations}.db"
            fill(where, conversations)
            found = asyncio.run(measured(where, conversations, typed.messages))
            print("\n".join(found), flush=True)
            lines += found
    if typed.out:
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        about = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load}"
        typed.out.write_text(
            f"# Messages through a bot\n\nMade by `make bench-bots`: what a message costs beside its "
            f"model. {about} at the end. The goal is {GOAL_MS:.0f} ms.\n\n"
            + "\n".join(lines)
            + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
