"""Calling a store from anywhere: it lives in one event loop, and frameworks call as they like."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from convostore.errors import StoreClosedError, TurnStateError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
    from concurrent.futures import Future

ResultT = TypeVar("ResultT")
_END: Final[Any] = object()


class Bridge:
    """Runs coroutines in one loop, whoever calls: with `await` in any loop, or without one.

    The loop is the one that runs where this is made; where none runs, one is made, in a thread of
    its own, with the first call. That thread does not keep the program from ending.

    Attributes:
        is_own: the loop is one of this bridge's own.
        has_ended: it was ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.has_ended = False
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self.is_own = True
        else:
            self.is_own = False

    def now(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run *work* to its end, and wait for it here.

        Raises:
            TurnStateError: it would have to run in the loop that waits for it.
            StoreClosedError: the loop has ended.
            BaseException: whatever *work* raises.
        """
        if _running() is self._loop is not None:
            work.close()
            raise TurnStateError(
                "this call would wait for itself: the store lives in this very event loop; take"
                " the asynchronous one (`ainvoke`, `aget_tuple` ...)"
            )
        return self._submit(work).result()

    async def wait(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run *work* to its end, and await it here.

        Raises:
            StoreClosedError: the loop has ended.
            BaseException: whatever *work* raises.
        """
        if _running() is self._loop:
            return await work
        return await asyncio.wrap_future(self._submit(work))

    def each(self, source: AsyncGenerator[ResultT, None]) -> Iterator[ResultT]:
        """Yield what *source* yields, without a loop.

        Raises:
            BaseException: as `now`.
        """
        try:
            while (one := self.now(_next(source))) is not _END:
                yield one
        finally:
            self.now(source.aclose())

    async def async_each(self, source: AsyncGenerator[ResultT, None]) -> AsyncIterator[ResultT]:
        """Yield what *source* yields, in any loop.

        Raises:
            BaseException: as `wait`.
        """
        try:
            while (one := await self.wait(_next(source))) is not _END:
                yield one
        finally:
            await self.wait(source.aclose())

    def end(self) -> None:
        """End the loop, if it is one of this bridge's own. Idempotent."""
        self.has_ended = True
        with self._lock:
            thread, loop = self._thread, self._loop
            if thread is not None and loop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                loop.close()

    def _submit(self, work: Coroutine[Any, Any, ResultT]) -> Future[ResultT]:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._started())
        except RuntimeError as error:
            work.close()
            raise StoreClosedError("the event loop that the store lived in has ended") from error

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="convostore", daemon=True
                )
                self._thread.start()
            return self._loop


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _next(source: AsyncGenerator[Any, None]) -> Any:
    return await anext(source, _END)
