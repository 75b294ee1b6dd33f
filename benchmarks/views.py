"""What a model is sent of a long conversation: reading and choosing, measured apart.

    python -m benchmarks.views [--messages 10000] [--times 15] [--server URL]

Each line is one window: what `chat.view()` takes altogether, on the clock and of the processor's time,
which other programs change less; and of it the making of the view from messages that are read already.
Medians; the store is made for the run, in memory where that is a file system (`TMPDIR=/dev/shm`).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import convostore
from convostore import Message, Window
from convostore.events import Finished
from convostore.providers.provider import takes_attachments
from convostore.testing import ScriptedProvider
from convostore.turning.asking import sight_of
from convostore.turning.looking import past_of
from convostore.views.asked import Asked
from convostore.views.viewing import view

if TYPE_CHECKING:
    from convostore import Conversation

GOAL_MS: Final = 30.0  # over 10,000 messages
_QUESTION: Final = "How does it work, and why is that so? " * 4
_ANSWER: Final = "It works in small steps, each of which is easy to see. " * 15
_PIECE: Final = 200  # messages that one append stores
WINDOWS: Final[dict[str, Window]] = {
    "everything": Window(),
    "20 turns": Window(turns=20),
    "200 turns": Window(turns=200),
    "8,000 tokens": Window(tokens=8_000),
    "100,000 tokens": Window(tokens=100_000),
    "a summary and what follows": Window(compact_above=8_000),
}


async def _fill(chat: Conversation, messages: int) -> None:
    pair = (Message.user(_QUESTION), Message.assistant(_ANSWER, model="model"))
    for _ in range(0, messages, _PIECE):
        await chat.append(
            *(
                Message.user(pair[0].text) if at % 2 == 0 else Message.assistant(pair[1].text)
                for at in range(_PIECE)
            )
        )


async def _measured(
    chat: Conversation, window: Window, times: int
) -> tuple[float, float, float, int]:
    """Return medians in ms, of the whole, its CPU time, and making the view; and its messages."""
    place = chat._place  # noqa: SLF001 - the parts are measured apart
    whole, cpu, making = [], [], []
    seen = await chat.view("And now?", window=window)
    for _ in range(times):
        start, cpu_start = time.perf_counter(), time.process_time()
        await chat.view("And now?", window=window)
        whole.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
        past = await past_of(place, window, place.head_seq)
        asked = Asked(provider="scripted", attachments=takes_attachments(ScriptedProvider()))
        path = (*past.path, Message.user("And now?"))
        start = time.perf_counter()
        view(path, asked, sight_of(place, window, past, asked))
        making.append(time.perf_counter() - start)
    return _ms(whole), _ms(cpu), _ms(making), len(seen.messages)


def _ms(took_s: list[float]) -> float:
    return statistics.median(took_s) * 1000


async def main(messages: int, times: int, server: str | None) -> None:
    """Make the store, and print a line for each window."""
    with tempfile.TemporaryDirectory() as folder:
        provider = ScriptedProvider(otherwise=("They talked of small steps.", Finished()))
        where = server or Path(folder) / "chats.db"
        async with convostore.open(where, provider=provider) as store:
            chat = await store.create(system="Be brief.")
            await _fill(chat, messages)
            print(f"{messages:,} messages in {'a database' if server else 'a file'}; in ms")
            print(f"{'window':28} {'altogether':>10} {'CPU':>7} {'the view':>9} {'messages':>9}")
            for name, window in WINDOWS.items():
                if window.compact_above:
                    chat.window = Window(compact_above=1_000_000)  # at once, but for the newest
                    await chat.compact(keep_turns=20)
                whole, cpu, making, told = await _measured(chat, window, times)
                print(f"{name:28} {whole:10.1f} {cpu:7.1f} {making:9.2f} {told:9,}")
            print(f"goal: below {GOAL_MS:g} ms for a window of 10,000 messages")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--server", help="the URL of a PostgreSQL database, in place of a file")
    given = parser.parse_args()
    asyncio.run(main(given.messages, given.times, given.server))
