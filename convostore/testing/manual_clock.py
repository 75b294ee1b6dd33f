"""A clock that stands still until the test moves it, for the package and for the event loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from convostore import clock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z, so that failures are easy to read
_IDLE_ROUNDS = 10  # a loopback socket needs a few rounds of the loop to hand its bytes on
_MAX_ROUNDS = 10_000  # a task that never waits must not hold the test for ever


class ManualClock:
    """Replace `convostore.clock` and the running event loop's time, until the block is left.

    `asyncio.sleep`, `asyncio.timeout` and `call_later` go by it too. Work in other threads (the
    store's writer, aiosqlite) runs in real time and is not waited for: await its result.

    Enter it inside the running loop; entered outside, only the package's clock is replaced, and
    `advance` raises.
    """

    def __init__(self, start_ms: int = START_MS) -> None:
        self._wall_ms = float(start_ms)
        self._monotonic_s = 0.0
        self._loop: Any = None  # the loop's private lists are read, which no type describes
        self._replaced: clock.Clock | None = None

    def now_ms(self) -> int:
        """Return the manual wall clock, in milliseconds UTC."""
        return round(self._wall_ms)

    def monotonic_s(self) -> float:
        """Return the manual monotonic clock, in seconds; the event loop's time."""
        return self._monotonic_s

    def set_wall(self, ms: int) -> None:
        """Set the wall clock forward or back, as an administrator does; no timer notices."""
        self._wall_ms = float(ms)

    async def advance(self, seconds: float) -> None:
        """Move both clocks on, stopping at each timer that falls due so that it runs on time.

        Raises:
            RuntimeError: the clock was not entered inside the running loop.
        """
        if self._loop is not asyncio.get_running_loop():
            raise RuntimeError("enter ManualClock inside the running event loop to advance it")
        target = self._monotonic_s + seconds
        await self._settle()
        while (due := self._next_due()) is not None and due <= target:
            self._move_to(due)
            await self._settle()
        self._move_to(target)
        await self._settle()

    def __enter__(self) -> Self:
        """Stop the time."""
        self._replaced = clock.replace(self)
        self._monotonic_s = time.monotonic()
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            return self
        self._monotonic_s = self._loop.time()
        self._loop.time = self.monotonic_s
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the time run again."""
        if self._replaced is not None:
            clock.replace(self._replaced)
            self._replaced = None
        if self._loop is not None:
            del self._loop.time  # uncovers the method of the loop's class
            self._loop = None

    async def __aenter__(self) -> Self:
        """Stop the time."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the time run again."""
        self.__exit__(kind, error, trace)

    def _move_to(self, monotonic_s: float) -> None:
        step_s = max(0.0, monotonic_s - self._monotonic_s)
        self._monotonic_s += step_s
        self._wall_ms += step_s * 1000

    def _next_due(self) -> float | None:
        timers: Iterable[asyncio.TimerHandle] = self._loop._scheduled  # noqa: SLF001 - asyncio has no public list of timers
        return min((timer.when() for timer in timers if not timer.cancelled()), default=None)

    async def _settle(self) -> None:
        """Run what is ready, and what that makes ready, until nothing is."""
        idle = 0
        for _ in range(_MAX_ROUNDS):
            await asyncio.sleep(0)
            idle = 0 if self._loop._ready else idle + 1  # noqa: SLF001 - asyncio has no public list of ready callbacks
            if idle >= _IDLE_ROUNDS:
                return
