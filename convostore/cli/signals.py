"""Ctrl-C and its kin, while an answer runs: the first stops in good order, the second leaves."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, TypeVar

from convostore.cli.exits import SignalledError

if TYPE_CHECKING:
    from collections.abc import Coroutine

ResultT = TypeVar("ResultT")

AT_ONCE = "the answer so far is kept"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def stoppable(work: Coroutine[None, None, ResultT], *, at_once: str = AT_ONCE) -> ResultT:
    """Run *work*; a signal cancels it, and what it writes while it ends is still written.

    A second signal ends the process on the spot. Nothing acknowledged is lost by that: the
    journal holds the answer as shown, at most a quarter of a second short, and the next reader
    finds it as `interrupted`.

    Args:
        work: what is done.
        at_once: what is said of it when a second signal ends the process.

    Raises:
        SignalledError: a signal came, and *work* ended because of it.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    received: list[int] = []

    def on_signal(signum: int) -> None:
        if received:
            os.write(2, f"\nconvostore: left at once; {at_once}\n".encode())
            os._exit(128 + signum)
        received.append(signum)
        task.cancel()

    # What the caller chose to ignore stays ignored: nohup, and jobs in the background of a script.
    heard = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    for signum in heard:
        loop.add_signal_handler(signum, on_signal, signum)
    try:
        return await task
    except asyncio.CancelledError:
        if not received:
            raise
        raise SignalledError(received[0]) from None
    finally:
        for signum in heard:
            loop.remove_signal_handler(signum)
