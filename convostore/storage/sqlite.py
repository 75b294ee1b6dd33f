"""The engine over one SQLite file.

Writes go to one thread with one synchronous connection (`writer.py`), reads to a few
aiosqlite connections (`readers.py`); readers never wait for the writer.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

from convostore.errors import StoreOpenError
from convostore.storage.database import CLOSE_S, Database, ResultT
from convostore.storage.faults import DRIVERS, primary_code, translate
from convostore.storage.files import FileLock
from convostore.storage.readers import Readers
from convostore.storage.reading import NO_PLACE, read_apart
from convostore.storage.scrub_note import ScrubReport
from convostore.storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from convostore.storage.database import Reading
    from convostore.storage.statements import Hot, Row
    from convostore.storage.waiting import Waiting

FOREIGN_WAIT_MS = 250  # how long one BEGIN waits for other programs before it looks up again


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the writing connection: WAL, every commit synced, transactions begun by us alone.

    FULL is what makes an acknowledgement survive a power cut.
    Source: SQLite, "PRAGMA synchronous" and "Write-Ahead Logging", performance considerations.

    Raises:
        StoreOpenError: the file lies where there can be no write-ahead log.
    """
    connection = sqlite3.connect(
        path.absolute().as_uri(),
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=FOREIGN_WAIT_MS / 1000,
    )
    try:
        connection.execute("PRAGMA page_size = 8192")  # bytes: long texts spill less than at 4096
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreOpenError(
                f"{path} lies where SQLite cannot keep a write-ahead log",
                hint="keep the store on a local disk: --db FILE",
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what goes is overwritten, on any build
    except BaseException:
        connection.close()
        raise
    return connection


class _NoPlaceError(Exception):
    """SQLite cannot put its own files beside the store."""


class SqliteDatabase(Database):
    """One opened SQLite file."""

    def __init__(self, path: Path, *, busy_timeout_s: float) -> None:
        super().__init__(str(path), busy_timeout_s=busy_timeout_s)
        self.path = path
        self._dialect = sqlite.dialect()
        self._writer: Writer | None = None
        self._readers = Readers(path, busy_timeout_s=busy_timeout_s)
        self._apart = (
            False  # read on connections of their own, for SQLite's own files have no place
        )

    def _put(self, waiting: Waiting) -> None:
        if self._writer is None:
            self._writer = Writer(
                lambda: connect_writer(self.path), self._dialect, FileLock(self.path)
            )
        self._writer.put(waiting)

    def _translate(self, error: BaseException) -> BaseException:
        return translate(error, self.path)

    async def read_as(
        self, make: Callable[[list[Row]], ResultT], hot: Hot, **values: Any
    ) -> ResultT:
        """Run one reading statement and return what *make* makes of its rows.

        Raises:
            StoreError: whatever the database says.
            StoreClosedError: the store is closed or was inherited by a fork.
            ConvostoreError: whatever *make* says.
        """
        self._guard()
        sql, pick = hot.on(self._dialect)
        if not self._apart:
            with suppress(_NoPlaceError):
                return await self._in_a_reader(
                    lambda run: make(run.execute(sql, pick(values)).fetchall())
                )
        return make(await self._read_apart(sql, pick(values)))

    async def read_through(self, begin: Callable[[], Reading[ResultT]]) -> ResultT:
        """Run the reading statements that a generator asks for, in one trip; see `Database`."""
        self._guard()
        if not self._apart:
            with suppress(_NoPlaceError):
                return await self._in_a_reader(lambda run: self._go_through(begin(), run))
        return await super().read_through(begin)

    def _go_through(self, going: Reading[ResultT], run: sqlite3.Cursor) -> ResultT:
        try:
            hot, values = next(going)
            while True:
                sql, pick = hot.on(self._dialect)
                hot, values = going.send(run.execute(sql, pick(values)).fetchall())
        except StopIteration as end:
            made: ResultT = end.value
            return made

    async def _in_a_reader(self, read: Callable[[sqlite3.Cursor], ResultT]) -> ResultT:
        """Do something with a reading connection's cursor, in its thread.

        Raises:
            _NoPlaceError: SQLite's own files have no place beside the store.
        """
        try:
            return await self._readers.run(read)
        except DRIVERS as error:
            if primary_code(error) not in NO_PLACE:
                raise translate(error, self.path) from error
            self._apart = True
            await self._readers.drop()
            raise _NoPlaceError from error

    async def _read_apart(self, sql: str, values: Sequence[Any]) -> list[Row]:
        """Read where SQLite cannot put its own files beside the store."""
        try:
            return await asyncio.to_thread(read_apart, self.path, self.busy_timeout_s, sql, values)
        except DRIVERS as error:
            raise translate(error, self.path) from error

    async def scrub(self, *, patience_s: float | None = None) -> ScrubReport:
        """Get what was removed out of the file and its log, where that is owed."""
        self._guard()
        from convostore.storage import scrubbing

        wait_s = self.busy_timeout_s if patience_s is None else patience_s
        done = await asyncio.to_thread(scrubbing.scrub, self.path, busy_timeout_s=wait_s)
        return ScrubReport(was_owed=done)

    async def aclose(self) -> None:
        """Finish the queued writes and close every connection. Idempotent."""
        if self._closed or self._pid != os.getpid():
            return
        self._closed = True
        try:
            if self._writer is not None:
                patience_s = min(self.busy_timeout_s, CLOSE_S)
                await asyncio.to_thread(self._writer.close, patience_s, is_awaited=self._is_awaited)
        finally:
            await self._readers.drop()
