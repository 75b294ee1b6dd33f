"""The manual clock drives the package's time and the event loop's."""

from __future__ import annotations

import asyncio
import time

import pytest

from convostore import clock
from convostore.testing import ManualClock


@pytest.mark.asyncio
async def test_an_hour_of_sleep_takes_no_time() -> None:
    """A task that sleeps an hour wakes as soon as the clock is moved an hour."""
    began = time.monotonic()
    async with ManualClock() as manual:
        sleeper = asyncio.create_task(clock.sleep(3600))
        await manual.advance(3599)
        assert not sleeper.done()
        await manual.advance(1)
        assert sleeper.done()
    assert time.monotonic() - began < 60


@pytest.mark.asyncio
async def test_each_timer_runs_at_its_own_time() -> None:
    """One big step stops at every timer on the way, those included that are set on the way."""
    seen: list[int] = []

    async def tick() -> None:
        while True:
            await clock.sleep(0.2)
            seen.append(clock.now_ms())

    with ManualClock(start_ms=1_000_000) as manual:
        ticker = asyncio.create_task(tick())
        await manual.advance(1)
        ticker.cancel()
        await asyncio.gather(ticker, return_exceptions=True)
    assert seen == [1_000_200, 1_000_400, 1_000_600, 1_000_800, 1_001_000]


@pytest.mark.asyncio
async def test_a_timeout_falls_due_by_the_manual_clock() -> None:
    """`clock.timeout` and `asyncio.timeout` go by the manual clock."""

    async def wait_for_ever() -> None:
        async with clock.timeout(120):
            await asyncio.Event().wait()

    with ManualClock() as manual:
        waiting = asyncio.create_task(wait_for_ever())
        await manual.advance(119.9)
        assert not waiting.done()
        await manual.advance(0.1)
        with pytest.raises(TimeoutError):
            await waiting


@pytest.mark.asyncio
async def test_setting_the_wall_clock_back_moves_no_timer() -> None:
    """The wall clock can jump by a day while the monotonic clock stays."""
    with ManualClock(start_ms=90_000_000) as manual:
        before = manual.monotonic_s()
        manual.set_wall(3_600_000)
        assert clock.now_ms() == 3_600_000
        assert clock.monotonic_s() == before
        await manual.advance(2)
        assert clock.now_ms() == 3_602_000


@pytest.mark.asyncio
async def test_everything_is_put_back() -> None:
    """After the block, also after an error in it, the clocks run as before."""
    loop = asyncio.get_running_loop()
    before = clock.replace(clock.SystemClock())
    clock.replace(before)
    with pytest.raises(ZeroDivisionError):
        async with ManualClock(start_ms=5):
            raise ZeroDivisionError
    assert clock.replace(before) is before
    assert "time" not in vars(loop)
    assert clock.now_ms() > 5


def test_outside_a_loop_the_package_clock_is_replaced() -> None:
    """Code without a loop sees the manual wall clock; only `advance` needs a loop."""
    with ManualClock(start_ms=7) as manual:
        assert clock.now_ms() == 7
        with pytest.raises(RuntimeError, match="inside the running event loop"):
            asyncio.run(manual.advance(1))
