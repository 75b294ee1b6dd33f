"""Waiting for what a provider does, but not for ever: a plugin may catch whatever cancels it."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Final, TypeVar

from convostore import clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

ResultT = TypeVar("ResultT")
_LATE_S: Final = 0.01  # so near to the bound, it was the bound that cancelled


@types.coroutine
def heeded(what: Awaitable[ResultT], given_up: Callable[[], bool]) -> Generator[Any, Any, ResultT]:
    """Wait for *what* as `await` does, in the same task; but not for ever once it is cancelled.

    What waits for something else in spite of being cancelled is left there, if *given_up* says so.

    Raises:
        BaseException: what it raises; the cancellation where it is left.
    """
    steps: Any = what.__await__()
    try:
        waits = steps.send(None)
        while True:
            try:
                sent = yield waits
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as raised:
                waits = steps.throw(raised)
                if given_up():
                    raise
            else:
                waits = steps.send(sent)
    except StopIteration as end:
        result: ResultT = end.value
        return result


async def within(bound_s: float, what: Awaitable[ResultT]) -> ResultT:
    """Wait for *what* a provider does, for *bound_s* at most, whatever it catches.

    Raises:
        TimeoutError: it took longer.
        BaseException: what it raises.
    """
    until_s = clock.monotonic_s() + bound_s - _LATE_S
    async with clock.timeout(bound_s):
        return await heeded(what, lambda: clock.monotonic_s() >= until_s)
