"""Measuring streams: one turn's cost, many at once, the time to the first delta."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.stopwatch import Stopwatch, percentile, sync_cost_s

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

GRACE_S = 0.5  # for beginning and ending; who ends later has not kept up with the pace


class Reader(Protocol):
    """Somebody who can read a reply: yields the moment each delta was sent, when it is shown."""

    def replies(self, url: str, number: int) -> AsyncGenerator[float]:
        """Read one reply to its end."""
        ...


async def one(reader: Reader, url: str) -> dict[str, Any]:
    """Read one reply and return what that cost."""
    with Stopwatch() as watch:
        count = 0
        async for _ in reader.replies(url, 0):
            count += 1
    spent = watch.spent
    return {"elapsed_s": spent.elapsed_s, "cpu_s": spent.cpu_s, "deltas": count}


async def many(reader: Reader, url: str, turns: int, nominal_s: float) -> dict[str, Any]:
    """Read many replies at once.

    CPU and lag are measured while all of them run, from the last first delta to the first end,
    so that beginning and ending the turns is left out. The lag is from being sent to being shown.
    """
    watch = Stopwatch()
    lags: list[float] = []
    running, ended = 0, 0

    async def follow(number: int) -> None:
        nonlocal running, ended
        first = True
        async for sent_s in reader.replies(url, number):
            if running == turns and not ended:
                lags.append(time.monotonic() - sent_s)
            if first:
                first = False
                running += 1
                if running == turns:
                    watch.start()
        ended += 1
        if ended == 1 and running == turns:
            watch.stop()

    began_s = time.perf_counter()
    await asyncio.gather(*(follow(number) for number in range(turns)))
    elapsed_s = time.perf_counter() - began_s
    lags.sort()
    return {
        "elapsed_s": elapsed_s,
        "cores": watch.spent.cpu_s / max(watch.spent.elapsed_s, 1e-9),
        "window_s": watch.spent.elapsed_s,
        "deltas": len(lags),
        "p50_lag_ms": percentile(lags, 0.5) * 1e3,
        "p99_lag_ms": percentile(lags, 0.99) * 1e3,
        "worst_lag_ms": percentile(lags, 1.0) * 1e3,
        "late_s": elapsed_s - nominal_s,
        "kept_up": elapsed_s < nominal_s + GRACE_S,
    }


async def first(reader: Reader, url: str, times: int, folder: Path) -> dict[str, Any]:
    """Return the time from asking to the first delta, and what a sync costs just then."""
    took_s, syncs_s = [], []
    for number in range(times):
        began_s = time.perf_counter()
        shown_s = 0.0
        async for _ in reader.replies(url, number):
            shown_s = shown_s or time.perf_counter()
        took_s.append(shown_s - began_s)
        if number % 10 == 0:
            syncs_s.append(sync_cost_s(folder))
    return {
        "first_ms": statistics.median(took_s) * 1e3,
        "sync_ms": statistics.median(syncs_s) * 1e3,
        "times": times,
    }
