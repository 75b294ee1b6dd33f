"""A thread with an event loop of its own, for code that cannot wait for a coroutine itself."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

ResultT = TypeVar("ResultT")


class Beside:
    """Runs coroutines in a daemon thread, all in the same loop; it begins with the first one.

    It can be waited for with and without a loop around: whoever calls `run` inside of a running loop
    stops that loop meanwhile, as every blocking call does.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run a coroutine to its end, and wait for it; from any thread but its own.

        Raises:
            Exception: whatever the coroutine raises.
        """
        return asyncio.run_coroutine_threadsafe(work, self._running()).result()

    async def wait(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run a coroutine there, and wait for it here, in any loop.

        Raises:
            Exception: whatever the coroutine raises.
        """
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._running()))

    def close(self) -> None:
        """End the thread. Idempotent."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="convostore", daemon=True
                )
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
