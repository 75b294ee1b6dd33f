"""Driving an adapter: a plain one in a loop, any other with tasks, until the time is up.

Conversations are made between the timed rounds and keep one length, whatever the system's speed:
else the faster one would be punished with longer conversations.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.stopwatch import Stopwatch, percentile

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.adapter import Adapter, Chat, Turn

QUESTION = "What would you see in Kyoto in three days, and in which order? " * 8  # cut to 500
QUESTION_LENGTH, ANSWER_LENGTH = 500, 2_000  # characters of a turn
ANSWER = "Begin in the east, at the temples below the hills, before the buses come. " * 30
CHATS_AT_ONCE = 8  # of a lone task: enough that making them is rare
MOST_SAMPLES = 200_000


@dataclass(slots=True)
class Tally:
    """What a drive has counted so far."""

    took_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def failed(self, error: Exception) -> None:
        """Count an operation that failed."""
        self.errors[f"{type(error).__name__}: {str(error)[:120]}"] += 1

    def result(self, watch: Stopwatch) -> dict[str, Any]:
        """Return the counted and measured values, as they go into the recording."""
        took = sorted(self.took_s)
        spent = watch.spent
        return {
            "operations": len(took),
            "elapsed_s": spent.elapsed_s,
            "quiet_s": spent.quiet_s,
            "cpu_s": spent.cpu_s,
            "p50_ms": percentile(took, 0.5) * 1e3,
            "p99_ms": percentile(took, 0.99) * 1e3,
            "worst_ms": (took[-1] if took else float("nan")) * 1e3,
            "errors": dict(self.errors),
        }


async def settled(value: Any) -> Any:
    """Return *value*, waiting for it where it is a coroutine."""
    return await value if inspect.isawaitable(value) else value


def texts(number: int) -> tuple[str, str]:
    """Return a question and an answer that no other number has."""
    mark = f"{number:08d} "
    return (mark + QUESTION)[:QUESTION_LENGTH], (mark + ANSWER)[:ANSWER_LENGTH]


async def write(
    adapter: Adapter, *, operation: str, tasks: int, seconds: float, turns_each: int
) -> dict[str, Any]:
    """Write turns for *seconds* of timed rounds, and return what that cost.

    Args:
        adapter: opened.
        operation: `append` or `turn`.
        tasks: how many write at once, each in conversations of its own.
        seconds: the timed part; a round that has begun is cut off at it.
        turns_each: how long a conversation grows before a new one is begun.
    """
    drive = _plain_round if adapter.plain else _task_round
    watch, tally = Stopwatch(), Tally()
    while (left_s := seconds - watch.spent.elapsed_s) > 0.002:
        per_task = CHATS_AT_ONCE if tasks == 1 else 1
        chats = [await settled(adapter.create()) for _ in range(tasks * per_task)]
        plan = [chats[at * per_task : (at + 1) * per_task] * turns_each for at in range(tasks)]
        begun_s = time.perf_counter()
        watch.start()
        await drive(adapter, operation, plan, tally, begun_s + left_s)
        watch.stop()
        if release := getattr(adapter, "release", None):
            await settled(release(chats))
    return tally.result(watch)


async def _task_round(
    adapter: Adapter, operation: str, plan: list[list[Chat]], tally: Tally, until_s: float
) -> None:
    verb = getattr(adapter, operation)

    async def one(chats: list[Chat], first: int) -> None:
        for number, chat in enumerate(chats, first):
            question, answer = texts(number)
            began_s = time.perf_counter()
            if began_s > until_s:
                return
            try:
                await verb(chat, question, answer)
            except Exception as error:  # noqa: BLE001 - counted, and shown in the results
                tally.failed(error)
            else:
                tally.took_s.append(time.perf_counter() - began_s)

    await asyncio.gather(*(one(chats, at * 10_000) for at, chats in enumerate(plan)))


async def _plain_round(
    adapter: Adapter, operation: str, plan: list[list[Chat]], tally: Tally, until_s: float
) -> None:
    """Write all tasks' turns as one group where the adapter can, one by one where it cannot."""
    in_groups = hasattr(adapter, f"{operation}_group")
    group: Callable[[list[Turn]], Any] | None = (
        getattr(adapter, f"{operation}_group") if in_groups else None
    )
    verb = getattr(adapter, operation)
    for number, chats in enumerate(zip(*plan, strict=True)):
        turns = [(chat, *texts(number * 100 + at)) for at, chat in enumerate(chats)]
        batches = [turns] if group else [[turn] for turn in turns]
        for batch in batches:
            began_s = time.perf_counter()
            if began_s > until_s:
                return
            try:
                await settled(group(batch) if group and len(batch) > 1 else verb(*batch[0]))
            except Exception as error:  # noqa: BLE001 - counted, and shown in the results
                tally.failed(error)
            else:
                tally.took_s += [time.perf_counter() - began_s] * len(batch)


async def repeat(verb: Callable[..., Any], arguments: list[Any], seconds: float) -> dict[str, Any]:
    """Call *verb* again and again for *seconds*, at least twice, and return what a call costs."""
    watch, tally = Stopwatch(), Tally()
    await settled(verb(*arguments))  # the first call fills caches, for every system alike
    until_s = time.perf_counter() + seconds
    watch.start()
    while len(tally.took_s) < 2 or (
        time.perf_counter() < until_s and len(tally.took_s) < MOST_SAMPLES
    ):
        began_s = time.perf_counter()
        result = await settled(verb(*arguments))
        tally.took_s.append(time.perf_counter() - began_s)
    watch.stop()
    return tally.result(watch) | {"found": result if isinstance(result, int) else None}
