"""The reading connections of one process: made when needed, lent one reader at a time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from convostore.errors import StoreBusyError
from convostore.storage.postgres_faults import ConnectionLostError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from convostore.storage.drivers import Driver


class Connections:
    """At most *most* connections, the one used last lent first.

    A pool of a library would cost each read more than the lending itself: a lent connection that
    is idle is taken here without a wait.
    """

    def __init__(self, driver: Driver, most: int, *, busy_timeout_s: float) -> None:
        self._driver = driver
        self._idle: list[Any] = []
        self._free = asyncio.Semaphore(most)
        self._busy_timeout_s = busy_timeout_s

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[Any]:
        """Lend a connection; one that the reader leaves broken, or in the middle, is closed.

        Raises:
            StoreBusyError: all of them were in use for `busy_timeout_s`.
            ConnectionLostError: the connection is gone.
        """
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()  # at once
        connection = None
        try:
            connection = (
                self._idle.pop() if self._idle else await self._driver.connect(reading=True)
            )
            yield connection
        except Exception as error:
            if connection is None or await self._back(connection):
                raise
            raise ConnectionLostError(error, committing=None) from error
        except BaseException:  # cancelled: the answer is still on its way
            if connection is not None:
                await self._driver.close(connection)
            raise
        else:
            self._idle.append(connection)
        finally:
            self._free.release()

    async def drop_idle(self) -> None:
        """Close what is idle: where one connection broke, the others may have broken too."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await self._driver.close(connection)

    def drop(self) -> None:
        """Let go of what is idle, where the event loop runs no more."""
        self._idle = []

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._busy_timeout_s):
                await self._free.acquire()
        except TimeoutError:
            raise StoreBusyError(
                f"every connection was in use for {self._busy_timeout_s:g} s; nothing was read",
                hint="fewer readers at once, or try again in a moment",
            ) from None

    async def _back(self, connection: Any) -> bool:
        """Take a connection back after an error; tell whether it is still of use."""
        if self._driver.is_open(connection):
            self._idle.append(connection)
            return True
        await self._driver.close(connection)
        return False
