"""The engine over a store that is in no file: for ephemeral conversations, gone when it is closed.

It has one connection, which the writer's thread alone uses; reads stand in the same queue as
writes. A database that several connections share in memory has locks that fail at once instead of
waiting, and no log that readers could read behind the writer, so there is nothing to be won.

Source: SQLite, "In-Memory Databases", and "SQLite Shared-Cache Mode", 2.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

from convostore.errors import ConversationBusyError
from convostore.storage.database import CLOSE_S, Database, ResultT
from convostore.storage.faults import translate
from convostore.storage.keeping import take_records
from convostore.storage.migrate import IN_MEMORY, make_schema
from convostore.storage.scrub_note import ScrubReport
from convostore.storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from types import TracebackType

    from convostore.storage.statements import Hot, Row, Tx
    from convostore.storage.waiting import GroupFunction, Waiting


class MemoryDatabase(Database):
    """A store in the memory of this process. Nothing of it is ever written to a file."""

    def __init__(self, *, busy_timeout_s: float) -> None:
        super().__init__(str(IN_MEMORY), busy_timeout_s=busy_timeout_s)
        self._dialect = sqlite.dialect()
        self._memory = _Memory()
        self._writer: Writer | None = None
        self._held: set[str] = set()

    def make(self) -> None:
        """Make the tables. Blocks, some 200 ms."""
        try:
            _set_up(self._memory.connection)
            make_schema(self._memory.connection)
            self._memory.connection.execute("PRAGMA foreign_keys = ON")  # off while tables are made
        except BaseException:
            self._memory.close()
            raise

    def submit(self, function: GroupFunction, owner_id: str, job: object) -> Waiting:
        """Queue *job*, as in `Database`.

        Raises:
            ConversationBusyError: its conversation is just being kept.
            StoreClosedError: the store is closed or was inherited by a fork.
        """
        if getattr(job, "conversation_id", None) in self._held and function is not take_records:
            raise ConversationBusyError(
                "the conversation is just being kept", hint="try again in a moment"
            )
        return super().submit(function, owner_id, job)

    @asynccontextmanager
    async def held(self, conversation_id: str) -> AsyncIterator[None]:
        """Refuse inside to change a conversation: it is being copied.

        What was asked for before is done when this begins. Jobs that wait together are done by
        their kinds, so of two that wait the later one may be done first.
        """
        self._held.add(conversation_id)
        try:
            await self.write(_wait_for_all, "", None)
            yield
        finally:
            self._held.discard(conversation_id)

    async def read_as(
        self, make: Callable[[list[Row]], ResultT], hot: Hot, **values: Any
    ) -> ResultT:
        """Run one reading statement and return what *make* makes of its rows.

        Raises:
            StoreError: whatever the database says.
            StoreClosedError: the store is closed or was inherited by a fork.
            ConvostoreError: whatever *make* says.
        """
        sql, pick = hot.on(self._dialect)
        made: ResultT = await self.write(_read, "", _Asked(sql, pick(values), make))
        return made

    async def scrub(self, *, patience_s: float | None = None) -> ScrubReport:  # noqa: ARG002 - nobody else has it
        """Do nothing: there is no file that could have traces of what was removed."""
        self._guard()
        return ScrubReport(was_owed=False)

    async def aclose(self) -> None:
        """Finish the queued writes, and forget everything. Idempotent."""
        if self._closed or self._pid != os.getpid():
            return
        self._closed = True
        if self._writer is None:
            self._memory.close()
        else:
            patience_s = min(self.busy_timeout_s, CLOSE_S)
            await asyncio.to_thread(self._writer.close, patience_s, is_awaited=self._is_awaited)

    def _put(self, waiting: Waiting) -> None:
        if self._writer is None:
            self._writer = Writer(lambda: self._memory.connection, self._dialect, self._memory)
        self._writer.put(waiting)

    def _translate(self, error: BaseException) -> BaseException:
        return translate(error, IN_MEMORY)


class _Lasting(sqlite3.Connection):
    """A connection that is the store: whoever closes it only undoes what had been begun."""

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()

    def forget(self) -> None:
        """Close it, and with it everything that it holds."""
        super().close()


class _Memory:
    """The memory itself. To the writer it is the lock too: no other process is waited for."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(
            str(IN_MEMORY), isolation_level=None, check_same_thread=False, factory=_Lasting
        )

    def __enter__(self) -> None:
        """Wait for nobody."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep nobody waiting."""

    def close(self) -> None:
        """Forget everything; the writer does it, last of all."""
        self.connection.forget()


class _Asked:
    """A read that stands in the queue: statement, values, and what is to be made of its rows."""

    __slots__ = ("make", "sql", "values")

    def __init__(self, sql: str, values: Sequence[Any], make: Callable[[list[Row]], Any]) -> None:
        self.sql, self.values, self.make = sql, values, make


def _read(tx: Tx, _: str, jobs: Sequence[_Asked]) -> list[Any]:
    """Run each read by itself: one that fails, fails alone."""
    outcomes: list[Any] = []
    for job in jobs:
        try:
            tx.cursor.execute(job.sql, job.values)
            outcomes.append(job.make(tx.cursor.fetchall()))
        except Exception as error:  # noqa: BLE001 - it is this read's outcome
            outcomes.append(error)
    return outcomes


def _wait_for_all(_: Tx, __: str, jobs: Sequence[None]) -> list[None]:
    """Do nothing, after all that was queued before."""
    return [None for _ in jobs]


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA temp_store = MEMORY")  # what it sorts goes into no file either
    connection.execute("PRAGMA secure_delete = ON")  # what goes is overwritten
