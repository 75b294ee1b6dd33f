"""The one writer of a process on PostgreSQL: a queue, and one transaction for all that waits.

Take all that waits, begin, lock its conversations in order, run it in groups, commit, and only
then acknowledge all of it. What failed for a reason that passes is run again: every job carries the
ids and keys by which it finds what an earlier try had stored.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select
from sqlalchemy.util import greenlet_spawn

from convostore.storage import indexing
from convostore.storage.canonical import to_json
from convostore.storage.database import CLOSE_S
from convostore.storage.postgres_faults import (
    READ_ONLY,
    UNIQUE,
    ConnectionLostError,
    is_again,
    is_lost,
    is_of_all,
    state_of,
)
from convostore.storage.search_index import next_slices
from convostore.storage.statements import Hot, Tx, one_of
from convostore.storage.tables import conversation
from convostore.storage.waiting import MOST_JOBS, Waiting, run_groups

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostore.storage.drivers import Driver, Writing

FIRST_PAUSE_S: Final = 0.02
LONGEST_PAUSE_S: Final = 0.5
_SLICE: Final = 50  # texts: a slice is made on the event loop, which others wait for
_SLICE_S: Final = 1.0  # then others have waited long enough
_LOOK_S: Final = 0.1  # how often who closes looks whether anybody still waits
_RACES: Final = 3  # how often a job may meet a row that another process has just stored

# Whoever writes to a conversation holds its row, so that what was read of it stays true until the
# commit; always in the same order, so that no two wait for each other.
LOCK = Hot(
    select(conversation.c.id)
    .where(conversation.c.owner_id == bindparam("owner_id"), one_of(conversation.c.id, "ids"))
    .order_by(conversation.c.id)
    .with_for_update(key_share=True)
)


class GroupWriter:
    """The task that owns the only writing connection of a process and event loop.

    Attributes:
        lost: what keeps it from the server at the moment.
    """

    def __init__(self, driver: Driver, *, busy_timeout_s: float) -> None:
        self._driver = driver
        self._busy_timeout_s = busy_timeout_s
        self._hung_after_s = 2 * busy_timeout_s + 5  # a lock may take the first half of it
        self._queue: deque[Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._connection: Writing | None = None
        self._committing = False
        self._indexing = indexing.Indexing(_SLICE)
        self._when_idle: asyncio.TimerHandle | None = None
        self._slicing = self._closing = False
        self.lost: Exception | None = None

    def put(self, waiting: Waiting) -> None:
        """Queue a job; its future gets the outcome after the commit."""
        self._queue.append(waiting)
        if self._task is None or self._task.done():
            self._task = waiting.loop.create_task(self._serve())

    async def aclose(self, *, is_awaited: Callable[[], bool]) -> None:
        """Finish what is queued, within the deadlines of its callers, and close the connection.

        Args:
            is_awaited: tells whether anybody waits for a job; else a held lock is not waited for.
        """
        self._closing = True
        if self._when_idle is not None:
            self._when_idle.cancel()
        if self._slicing and self._task is not None:  # what is queued does not wait for the index
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_S)
            self._task = asyncio.create_task(self._serve())
        if self._task is not None and not self._task.done():
            for _ in range(1 + int(min(self._busy_timeout_s, CLOSE_S) / _LOOK_S)):
                await asyncio.wait({self._task}, timeout=_LOOK_S)
                if self._task.done() or not is_awaited():
                    break
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_S)
        await self._forget()

    def drop(self) -> None:
        """Let go of the connection and of what is queued, where the event loop runs no more."""
        self._connection = None
        self._queue.clear()

    async def _serve(self) -> None:
        while batch := self._drain():
            try:
                await self._write(batch)
            except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers
                for waiting in batch:
                    waiting.outcome = error
            except BaseException as error:
                for waiting in batch:
                    waiting.outcome = ConnectionLostError(error, committing=self._committing)
                    waiting.settle()
                raise
            for waiting in batch:
                waiting.settle()
            if self._indexing.is_overdue():
                await self._index()
        if self._indexing.owes and not self._closing:
            loop = asyncio.get_running_loop()
            if self._when_idle is not None:
                self._when_idle.cancel()
            self._when_idle = loop.call_later(indexing.IDLE_S, self._go_on, loop)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._index_and_serve())

    async def _index_and_serve(self) -> None:
        if not self._queue:
            await self._index()
        await self._serve()

    async def _index(self) -> None:
        """Put a slice into the search index, in a transaction of its own; it may fail."""
        loop = asyncio.get_running_loop()
        waiting = Waiting(next_slices, "", self._indexing.job(), loop, lambda error: error)
        self._slicing = True
        try:
            async with asyncio.timeout(_SLICE_S):
                await self._once([waiting], again=False)
        except Exception:  # noqa: BLE001 - nobody waits for it; whoever searches meets the reason
            self._indexing.failed()
        else:
            self._indexing.done(waiting.outcome)
        finally:
            self._slicing = False

    def _drain(self) -> list[Waiting]:
        """Take what is queued, but for what its callers have taken back."""
        batch: list[Waiting] = []
        while self._queue and len(batch) < MOST_JOBS:
            waiting = self._queue.popleft()
            if waiting.claim():
                batch.append(waiting)
        return batch

    async def _write(self, batch: list[Waiting]) -> None:
        """Run *batch* until it is committed, or fails for a reason that stays."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._busy_timeout_s
        pause_s, again = FIRST_PAUSE_S, False
        while True:
            try:
                await self._once(batch, again=again)
            except Exception as error:
                if isinstance(error, ConnectionLostError):
                    self.lost = error
                    again = again or bool(error.committing)
                elif not is_again(error):
                    raise
                if loop.time() + pause_s > deadline_s:
                    if again:
                        raise ConnectionLostError(error, committing=True) from error
                    raise
            else:
                self.lost = None
                return
            # At random, so that two who met do not meet again.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - no secret
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _once(self, batch: list[Waiting], *, again: bool) -> None:
        self._committing = False
        try:
            async with asyncio.timeout(self._hung_after_s):
                if self._connection is None:
                    self._connection = await self._driver.writing()
                await greenlet_spawn(self._transaction, self._connection, batch, again)
        except Exception as error:
            if await self._undone(error):
                raise
            raise ConnectionLostError(error, committing=self._committing) from error
        except BaseException:
            await self._forget()
            raise

    def _transaction(self, connection: Writing, batch: list[Waiting], again: bool) -> None:
        """Run one transaction over *batch*; if a group fails, once more, each job apart."""
        tx = Tx(connection.cursor(), self._driver.dialect, again=again)
        try:
            _lock(tx, batch)
            run_groups(tx, batch)
        except Exception as error:
            lone = len(batch) == 1 and state_of(error) != UNIQUE
            if lone or _belongs_to_all(error):
                raise
            connection.rollback()
            _lock(tx, batch)
            for waiting in batch:
                _run_apart(tx, waiting)
        self._committing = True
        connection.commit()
        self._committing = False
        if tx.marked:
            self._indexing.owe()

    async def _undone(self, error: Exception) -> bool:
        """Roll back after *error*; tell whether the connection is still of use."""
        connection = self._connection
        if connection is None:
            return not is_lost(error)
        if state_of(error) == READ_ONLY:  # a new connection may find the server that is writable
            await self._forget()
            return True
        if not is_lost(error) and self._driver.is_open(connection.driver_connection):
            try:
                await greenlet_spawn(connection.rollback)
            except Exception:  # noqa: BLE001 - the error itself tells more
                await self._forget()
            return True
        await self._forget()
        return False

    async def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._driver.close(connection.driver_connection)


def _lock(tx: Tx, batch: list[Waiting]) -> None:
    """Hold the conversations that the jobs of *batch* name."""
    held: dict[str, set[str]] = {}
    for waiting in batch:
        if named := getattr(waiting.job, "conversation_id", None):
            held.setdefault(waiting.owner_id, set()).add(named)
    for owner_id, ids in sorted(held.items()):
        tx.rows(LOCK, owner_id=owner_id, ids=to_json(sorted(ids)))


def _belongs_to_all(error: Exception) -> bool:
    return is_lost(error) or is_again(error) or is_of_all(error)


def _run_apart(tx: Tx, waiting: Waiting) -> None:
    """Run a job in a savepoint of its own, so that it fails alone.

    Of two processes that store the same name at once, the second meets the unique index; when it
    looks again, the row is there.
    """
    for left in reversed(range(_RACES)):
        tx.cursor.execute("SAVEPOINT apart")
        try:
            waiting.outcome = waiting.function(tx, waiting.owner_id, [waiting.job])[0]
        except Exception as error:
            if _belongs_to_all(error):
                raise
            tx.cursor.execute("ROLLBACK TO SAVEPOINT apart")
            waiting.outcome = error
        tx.cursor.execute("RELEASE SAVEPOINT apart")
        if not (
            left and isinstance(waiting.outcome, Exception) and state_of(waiting.outcome) == UNIQUE
        ):
            return
