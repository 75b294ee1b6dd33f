"""The engine over a database of a PostgreSQL server.

Writes go through one task with one connection (`group_writer.py`), reads to a few connections of
their own, each a single statement straight on the driver.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final

from convostore.errors import ConvostoreError, StoreClosedError, StoreOpenError
from convostore.storage.connections import Connections
from convostore.storage.database import Database, ResultT
from convostore.storage.drivers import driver_of
from convostore.storage.group_writer import FIRST_PAUSE_S, LONGEST_PAUSE_S, GroupWriter
from convostore.storage.postgres_faults import is_again, is_lost, translate
from convostore.storage.scrub_note import Scrubbed, ScrubReport, forget_notes

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostore.errors import StoreError
    from convostore.storage.address import Server
    from convostore.storage.statements import Hot, Row
    from convostore.storage.waiting import Waiting

READERS: Final = 4  # connections for reading; a server has about a hundred for all its clients


class PostgresDatabase(Database):
    """One opened database of a server; it belongs to the event loop in which it was opened."""

    on_server = True

    def __init__(self, server: Server, *, busy_timeout_s: float) -> None:
        super().__init__(str(server), busy_timeout_s=busy_timeout_s)
        self.server = server
        self._driver = driver_of(server, busy_timeout_s=busy_timeout_s)
        self._writer = GroupWriter(self._driver, busy_timeout_s=busy_timeout_s)
        self._connections = Connections(self._driver, READERS, busy_timeout_s=busy_timeout_s)
        self._loop = asyncio.get_running_loop()

    async def read_as(
        self, make: Callable[[list[Row]], ResultT], hot: Hot, **values: Any
    ) -> ResultT:
        """Run one reading statement and return what *make* makes of its rows.

        Raises:
            StoreBusyError: every connection was in use all the time.
            StoreError: whatever else the database says.
            StoreClosedError: the store is closed, of another event loop, or inherited by a fork.
            ConvostoreError: whatever *make* says.
        """
        self._guard()
        sql, pick = hot.on(self._driver.dialect)
        given = pick(values)
        try:
            rows = await self._fetch(sql, given)
        except Exception as error:
            ours = self._translate(error)
            if ours is error:
                raise
            raise ours from error
        return make(rows)

    async def scrub(self, *, patience_s: float | None = None) -> ScrubReport:
        """Write every table anew where something was removed; what is left is the operator's."""
        self._guard()
        from convostore.storage import postgres_scrub

        wait_s = self.busy_timeout_s if patience_s is None else patience_s
        noted = await postgres_scrub.owed(self.server, busy_timeout_s=wait_s)
        if noted is None:
            return ScrubReport(was_owed=False)
        remarks = await postgres_scrub.rewrite(self.server, busy_timeout_s=wait_s)
        await self.write(forget_notes, "", Scrubbed(noted=noted))
        return ScrubReport(was_owed=True, remarks=remarks)

    async def aclose(self) -> None:
        """Finish the queued writes and close every connection. Idempotent.

        In another event loop than its own it is done over there; where that one runs no more
        nothing can be said to the server, and the connections are dropped.
        """
        if self._closed or self._pid != os.getpid():
            return
        self._closed = True
        if self._loop is asyncio.get_running_loop():
            await self._close()
        elif self._loop.is_running():
            closing = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
            await asyncio.wrap_future(closing)
        else:
            self._writer.drop()
            self._connections.drop()

    async def _close(self) -> None:
        await self._writer.aclose(is_awaited=self._is_awaited)
        await self._connections.drop_idle()

    async def _fetch(self, sql: str, values: Row) -> list[Row]:
        """Run a reading statement, again where the connection was lost on the way."""
        pause_s = 0.0  # what was lost while it was idle is replaced at once
        deadline_s = self._loop.time() + self.busy_timeout_s
        while True:
            try:
                async with self._connections.lent() as connection:
                    return await self._driver.fetch(connection, sql, values)
            except ConvostoreError:
                raise
            except Exception as error:
                passes = is_lost(error) or is_again(error)
                if not passes or self._loop.time() + pause_s > deadline_s:
                    raise
            await self._connections.drop_idle()
            await asyncio.sleep(pause_s)
            pause_s = min(max(pause_s * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S)

    def _put(self, waiting: Waiting) -> None:
        self._writer.put(waiting)

    def _translate(self, error: BaseException) -> BaseException:
        return translate(error, self.server)

    def _busy(self) -> StoreError:
        """Return the error for a job that was not begun in time, with what stood in its way."""
        if (lost := self._writer.lost) is not None:
            return StoreOpenError(
                f"{self.server} could not be reached for {self.busy_timeout_s:g} s"
                f" ({self.server.scrub(str(lost))}); nothing was stored",
                hint="check that the server runs, then try again",
            )
        return super()._busy()

    def _guard(self) -> None:
        super()._guard()
        if asyncio.get_running_loop() is not self._loop:
            raise StoreClosedError(
                "the store was opened in another event loop; open it again in this one"
            )
