"""The reading connections to one SQLite file: aiosqlite's, each with a thread of its own."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any, Self, cast

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import aiosqlite
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import PoolProxiedConnection

    from convostore.storage.database import ResultT

READERS = 3  # connections at most; more do not read faster on one disk


class Readers:
    """A few connections, opened as they are needed: who reads alone uses one, and finds it warm."""

    def __init__(self, path: Path, *, busy_timeout_s: float) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._engine: AsyncEngine | None = None
        self._open: list[_Reader] = []
        self._opening = asyncio.Lock()

    async def run(self, read: Callable[[sqlite3.Cursor], ResultT]) -> ResultT:
        """Do something with a cursor in the thread that reads, and return what it returns.

        Raises:
            sqlite3.Error: whatever the driver says; SQLAlchemy's errors when a connection is made.
        """
        reader = await self._least_busy()
        reader.reads += 1
        try:
            made = await reader.driver.execute_fetchall("", _Task(read))
        finally:
            reader.reads -= 1
        return cast("ResultT", made)

    async def drop(self) -> None:
        """Close all of them."""
        readers, self._open = self._open, []
        engine, self._engine = self._engine, None
        for reader in readers:
            reader.lent.close()
        if engine is not None:
            await engine.dispose()

    async def _least_busy(self) -> _Reader:
        """Return the first idle reader; else a new one, while there may be more."""
        while True:
            reader = min(self._open, key=_reads, default=None)
            if reader is not None and (not reader.reads or len(self._open) == READERS):
                return reader
            async with self._opening:
                if len(self._open) < READERS and all(reader.reads for reader in self._open):
                    self._open.append(_Reader(await self._connect()))

    async def _connect(self) -> PoolProxiedConnection:
        if self._engine is None:
            self._engine = create_async_engine(
                URL.create("sqlite+aiosqlite", database=str(self._path)),
                pool_size=READERS,
                max_overflow=0,
                pool_reset_on_return=None,
                connect_args={
                    "isolation_level": None,
                    "timeout": self._busy_timeout_s,
                    "factory": _Connection,
                },
            )
            event.listen(self._engine.sync_engine, "connect", _set_up)
        return await self._engine.raw_connection()


class _Reader:
    """One connection, and how many reads wait for it or run on it."""

    def __init__(self, lent: PoolProxiedConnection) -> None:
        self.lent = lent
        self.driver = cast("aiosqlite.Connection", lent.driver_connection)
        self.reads = 0


def _reads(reader: _Reader) -> int:
    return reader.reads


class _Task(tuple[Any, ...]):  # noqa: SLOT001 - a tuple cannot have slots that hold something
    """What is to be done with a cursor, where aiosqlite's interface wants a statement's values."""

    read: Callable[[sqlite3.Cursor], Any]

    def __new__(cls, read: Callable[[sqlite3.Cursor], Any]) -> Self:
        task = super().__new__(cls)
        task.read = read
        return task


class _Connection(sqlite3.Connection):
    """Does a task where it reads: aiosqlite calls `execute` and `fetchall` in its thread."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if not isinstance(parameters, _Task):
            return super().execute(sql, parameters)
        return cast("sqlite3.Cursor", _Later(self, parameters.read))


class _Later:
    """A task that is done when its rows are asked for."""

    def __init__(
        self, connection: sqlite3.Connection, read: Callable[[sqlite3.Cursor], Any]
    ) -> None:
        self._connection, self._read = connection, read

    def fetchall(self) -> Any:
        """Do it."""
        return self._read(self._connection.cursor())


def _set_up(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()
