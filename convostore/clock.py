"""The one door to time: wall clock, monotonic clock, sleeping, time limits.

Everything else in the package takes its time from here, so a test can replace it
(`convostore.testing.ManualClock`).
"""

from __future__ import annotations

import time

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    import asyncio
    from typing import Protocol
else:
    Protocol = object


class Clock(Protocol):
    """What a clock has to answer."""

    def now_ms(self) -> int:
        """Return the wall clock, in milliseconds since 1970-01-01 UTC."""

    def monotonic_s(self) -> float:
        """Return seconds from some fixed point; never goes back."""


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        """Return the machine's wall clock, in milliseconds UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Return the machine's monotonic clock, in seconds."""
        return time.monotonic()


_current: Clock = SystemClock()


def replace(clock: Clock) -> Clock:
    """Make *clock* the process's clock and return the one it replaces (for tests)."""
    global _current  # one per process, by intent
    before, _current = _current, clock
    return before


def now_ms() -> int:
    """Return the wall clock, in milliseconds since 1970-01-01 UTC."""
    return _current.now_ms()


def monotonic_s() -> float:
    """Return the monotonic clock, in seconds."""
    return _current.monotonic_s()


async def sleep(seconds: float) -> None:
    """Wait for *seconds* by the event loop's clock, which a ManualClock drives too."""
    import asyncio

    await asyncio.sleep(seconds)


def timeout(seconds: float | None) -> asyncio.Timeout:
    """Return a context manager that raises TimeoutError after *seconds*; None is no limit."""
    import asyncio

    return asyncio.timeout(seconds)
