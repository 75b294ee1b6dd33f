"""Where the time of an operation goes: each stage of a write, and what each thread computes.

    python -m benchmarks.stages [--rounds 100] [--folder FOLDER] [--out FILE]

An operation begins in the event loop, waits for the writer's thread, runs in its transaction, and
comes back. The stages are timed from inside; the watching itself costs some microseconds of each.
Where 64 tasks run, one transaction serves many operations, and a stage's time is shared by them.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from unittest.mock import patch

import convostore
from benchmarks.ours.replies import Instant
from convostore import Message
from convostore.events import Finished, TextDelta
from convostore.storage import writer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from convostore import Conversation, Store
    from convostore.events import Event
    from convostore.providers.provider import ChatRequest

_QUESTION, _ANSWER = "What is there to see? " * 23, "It works in small steps. " * 80
_RATE: Final = 50  # deltas a second
STAGES: Final = (
    "to the writer's thread",
    "the lock, and BEGIN",
    "its statements",
    "COMMIT, with the sync",
    "back to the event loop",
)
CPU: Final = ("CPU of the event loop", "CPU of the writer", "CPU of other threads")
INDEX: Final = "of that, for the search index"
_HEAD: Final = """# Where the time of an operation goes

Made by `make bench-stages`. The first five stages are elapsed time, one after the other; what is left of
the first line is the event loop's own, before and after. Of 64 tasks a stage is shared by all that are
in its transaction, and the threads' CPU is what counts. Of the stream a column is one delta: a fifth of
a second has ten of them and one write."""


class Paced(Instant):
    """Says small pieces at a steady rate."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event]:  # noqa: ARG002 - the protocol's
        """Say them, until whoever listens leaves."""
        while True:
            await asyncio.sleep(1 / _RATE)
            yield TextDelta("word and ")
        yield Finished()


class Watched:
    """The stages of all writes of this process while it is watched, in seconds."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.commits = 0
        self._put_s: dict[int, float] = {}  # when a job was queued, by its identity
        self._done_s: dict[int, float] = {}  # when its transaction had ended
        self._at_s = 0.0  # of the writer's thread: when the last stage ended

    def put(self, waiting: Any) -> None:
        """Note that a job is queued."""
        self._put_s[id(waiting)] = time.perf_counter()

    def taken(self, first: Any) -> None:
        """Note that the writer has the first job of a transaction."""
        self._at_s = time.perf_counter()
        self.spent[STAGES[0]] += self._at_s - self._put_s.get(id(first), self._at_s)

    def enters(self, stage: str) -> None:
        """Count what passed in the writer's thread since the last stage to *stage*."""
        now_s = time.perf_counter()
        self.spent[stage] += now_s - self._at_s
        self._at_s = now_s

    def committed(self, batch: list[Any]) -> None:
        """Note that a transaction has ended."""
        self.enters(STAGES[3])
        self.commits += 1
        self._done_s[id(batch[0])] = self._at_s

    def back(self, group: list[Any]) -> None:
        """Note that the event loop has the outcomes."""
        for waiting in group:
            self._put_s.pop(id(waiting), None)
        done_s = self._done_s.pop(id(group[0]), None)
        if done_s is not None:
            self.spent[STAGES[4]] += time.perf_counter() - done_s

    def indexed(self, took_s: float) -> None:
        """Count what the writer's thread computed for the search index."""
        self.spent[INDEX] += took_s


@contextmanager
def watching() -> Iterator[Watched]:
    """Time the stages of the writer; put everything back at the end."""
    seen, kind, module = Watched(), cast("Any", writer.Writer), cast("Any", writer)
    put, begin, run, index = kind.put, kind._begin, kind._run, kind._index
    groups, settle = module.run_groups, module._settle_here

    def putting(self: writer.Writer, waiting: Any) -> None:
        seen.put(waiting)
        put(self, waiting)

    def beginning(self: writer.Writer, batch: list[Any]) -> Any:
        seen.taken(batch[0])
        connection = begin(self, batch)
        seen.enters(STAGES[1])
        return connection

    def grouped(tx: Any, batch: Any) -> None:
        groups(tx, batch)
        seen.enters(STAGES[2])

    def running(self: writer.Writer, connection: Any, tx: Any, batch: list[Any]) -> None:
        run(self, connection, tx, batch)
        seen.committed(batch)

    def indexing(self: writer.Writer) -> None:
        began_s = time.thread_time()
        index(self)
        seen.indexed(time.thread_time() - began_s)

    def settled(group: list[Any]) -> None:
        seen.back(group)
        settle(group)

    with ExitStack() as patched:
        for name, new in (
            ("put", putting),
            ("_begin", beginning),
            ("_run", running),
            ("_index", indexing),
        ):
            patched.enter_context(patch.object(kind, name, new))
        patched.enter_context(patch.object(module, "run_groups", grouped))
        patched.enter_context(patch.object(module, "_settle_here", settled))
        yield seen


class Cost(NamedTuple):
    """What one operation costs, on average.

    Attributes:
        what: the operation.
        wall_us: from one to the next, of all tasks together.
        stages_us: of that, by stage.
        together: operations in a transaction; more than 1 where tasks share one.
    """

    what: str
    wall_us: float
    stages_us: dict[str, float]
    together: float


class Wish(NamedTuple):
    """What is to be watched.

    Attributes:
        what: the operation.
        tasks: so many at once.
        chats_each: conversations of each task, one after the other.
        times: the operation in each of them.
        writes: of one operation; 0 where that is a matter of time.
        go: does it so many times.
    """

    what: str
    tasks: int
    chats_each: int
    times: int
    writes: int
    go: Callable[[Conversation, int], Awaitable[None]]


def _cpu_s() -> tuple[float, float, float]:
    """Return the CPU time of this thread, of the writer's, and of the whole process."""
    writers = [one for one in threading.enumerate() if one.name == "convostore-writer"]
    clocks = [time.pthread_getcpuclockid(one.ident) for one in writers if one.ident]
    return time.thread_time(), sum(map(time.clock_gettime, clocks)), time.process_time()


async def cost(store: Store, wish: Wish) -> Cost:
    """Do what is wished twice, and watch the second time."""
    await _all(wish, await _made(store, wish))  # modules, statements, the file's first pages
    shares = await _made(store, wish)
    await store.reindex()  # or that of the round before would be counted
    with watching() as seen:
        began_s, before = time.perf_counter(), _cpu_s()
        await _all(wish, shares)
        wall_s, after = time.perf_counter() - began_s, _cpu_s()
    loop_s, writer_s, all_s = (now - then for now, then in zip(after, before, strict=True))
    seen.spent |= dict(
        zip(CPU, (loop_s, writer_s, max(0.0, all_s - loop_s - writer_s)), strict=True)
    )
    count = wish.tasks * wish.chats_each * wish.times
    stages = {name: seen.spent[name] / count * 1e6 for name in (*STAGES, *CPU, INDEX)}
    return Cost(wish.what, wall_s / count * 1e6, stages, count * wish.writes / max(1, seen.commits))


async def _made(store: Store, wish: Wish) -> list[list[Conversation]]:
    """Make the conversations of each task."""
    return [[await store.create() for _ in range(wish.chats_each)] for _ in range(wish.tasks)]


async def _all(wish: Wish, shares: list[list[Conversation]]) -> None:
    async def one(chats: list[Conversation]) -> None:
        for chat in chats:
            await wish.go(chat, wish.times)

    await asyncio.gather(*map(one, shares))


async def _append(chat: Conversation, times: int) -> None:
    for _ in range(times):
        await chat.append(Message.user(_QUESTION), Message.assistant(_ANSWER))


async def _ask(chat: Conversation, times: int) -> None:
    for _ in range(times):
        await chat.send(_QUESTION)


async def _stream(chat: Conversation, times: int) -> None:
    async with chat.stream(_QUESTION) as turn:
        async for _ in turn:
            times -= 1
            if not times:
                break


async def costs(folder: Path, rounds: int) -> list[Cost]:
    """Return what each operation costs in a new store in *folder*, of so many conversations a task."""
    wishes = (
        Wish("append, 1 task", 1, rounds, 8, 1, _append),
        Wish("append, 64 tasks", 64, max(1, rounds // 16), 8, 1, _append),
        Wish("turn, 1 task", 1, rounds, 8, 2, _ask),
        Wish("turn, 64 tasks", 64, max(1, rounds // 16), 8, 2, _ask),
        Wish(f"a delta, {_RATE} a second", 1, 1, 4 * rounds, 0, _stream),
    )
    found: list[Cost] = []
    for number, wish in enumerate(wishes):
        provider = Instant(_ANSWER) if wish.writes else Paced("")
        async with convostore.open(folder / f"{number}.db", provider=provider) as store:
            found.append(await cost(store, wish))
    return found


def table(found: list[Cost]) -> str:
    """Return the costs as a table: an operation a column, in microseconds."""
    lines = [
        "| microseconds of one operation | " + " | ".join(one.what for one in found) + " |",
        "|---|" + "--:|" * len(found),
        "| from one to the next | " + " | ".join(f"{one.wall_us:,.0f}" for one in found) + " |",
    ]
    for name in (*STAGES, *CPU, INDEX):
        figures = " | ".join(f"{one.stages_us[name]:,.0f}" for one in found)
        lines.append(f"| {name} | {figures} |")
    together = " | ".join(f"{one.together:.1f}" if one.together else "-" for one in found)
    lines.append(f"| writes in a transaction | {together} |")
    return "\n".join(lines)


def main() -> None:
    """Read what is typed, measure, and print or keep the table."""
    parser = argparse.ArgumentParser(description="where the time of an operation goes")
    parser.add_argument("--rounds", type=int, default=100, help="conversations of a lone task")
    parser.add_argument("--folder", type=Path, help="where the store is made; by default on a disk")
    parser.add_argument("--out", type=Path, help="keep the table in this file")
    typed = parser.parse_args()
    home = typed.folder or Path("build") / "bench"
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as folder:
        made = table(asyncio.run(costs(Path(folder), typed.rounds)))
    print(made)
    if typed.out:
        typed.out.write_text(f"{_HEAD}\n\n{made}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
