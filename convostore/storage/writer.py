"""The one writer of a SQLite process: a thread, a queue, and one transaction for all that waits.

Take one job, take the lock between processes, begin, drain the rest, run them in groups,
commit, and only then acknowledge all of them. No timer: a lone job commits at once.
"""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, Protocol

from convostore.errors import StoreBusyError
from convostore.storage import indexing
from convostore.storage.faults import BUSY, CONSTRAINT, primary_code
from convostore.storage.search_index import next_slices
from convostore.storage.statements import Tx
from convostore.storage.waiting import MOST_JOBS, Waiting, run_groups

if TYPE_CHECKING:
    import asyncio
    import sqlite3
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from sqlalchemy.engine import Dialect

_LOOK_S: Final = 0.05  # how often who closes looks whether the thread waits for nobody


class Lock(Protocol):
    """What a writer holds while it writes; it waits for it."""

    def __enter__(self) -> None:
        """Wait for it."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the next one have it."""
        ...

    def close(self) -> None:
        """Let go of it for good, when the writer's connection is closed."""
        ...


class Writer:
    """The thread that owns the process's only writing connection."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], dialect: Dialect, lock: Lock
    ) -> None:
        self._connect = connect
        self._dialect = dialect
        self._lock = lock
        self._connection: sqlite3.Connection | None = None
        self._indexing = indexing.Indexing()
        self._ending = self._given_up = self._at_the_lock = False
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        # A daemon: a store that is never closed, or a lock that never comes, must not hang the exit.
        self._thread = threading.Thread(target=self._serve, name="convostore-writer", daemon=True)
        self._thread.start()

    def put(self, waiting: Waiting) -> None:
        """Queue a job; its future gets the outcome after the commit."""
        self._queue.put(waiting)

    def close(self, timeout_s: float, *, is_awaited: Callable[[], bool]) -> None:
        """Finish what is queued and end the thread; blocks for at most *timeout_s* seconds.

        What could not be begun by then, for others hold the file, is not written any more: its
        callers get a StoreBusyError, at the latest when the file is free.

        Args:
            timeout_s: the bound.
            is_awaited: tells whether anybody waits for a job; else nobody waits for the lock either.
        """
        self._queue.put(None)
        for _ in range(1 + int(timeout_s / _LOOK_S)):
            self._thread.join(_LOOK_S)
            if not self._thread.is_alive() or (self._at_the_lock and not is_awaited()):
                break
        self._given_up = True

    def _serve(self) -> None:
        while not self._ending and (first := self._next()) is not None:
            batch = [first]
            try:
                with self._locked():
                    self._transaction(batch)
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the callers
                self._forget_connection()
                if self._given_up:
                    self._drain(batch)
                for waiting in batch:
                    waiting.claim()
                    waiting.outcome = error
            _settle(batch)
            if self._indexing.is_overdue():
                self._index()
        for _ in range(indexing.MOST_AT_THE_END):
            if self._indexing.owes and not self._given_up:
                self._index()
        self._forget_connection()
        self._lock.close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock between processes, and say so while it is waited for."""
        self._at_the_lock = True
        try:
            with self._lock:
                self._at_the_lock = False
                yield
        finally:
            self._at_the_lock = False

    def _next(self) -> Waiting | None:
        """Return the next job; while there is none, put into the search index what is marked."""
        while self._indexing.owes:
            try:
                return self._queue.get(timeout=indexing.IDLE_S)
            except Empty:
                self._index()
        return self._queue.get()

    def _index(self) -> None:
        """Put a slice into the search index, in a transaction of its own; it may fail."""
        try:
            with self._locked():
                connection = self._connection = self._connection or self._connect()
                connection.execute("BEGIN IMMEDIATE")
                with closing(connection.cursor()) as cursor:
                    tx = Tx(cursor, self._dialect)
                    (part,) = next_slices(tx, "", [self._indexing.job()])
                connection.execute("COMMIT")
        except Exception:  # noqa: BLE001 - nobody waits for it; whoever searches meets the reason
            self._forget_connection()
            self._indexing.failed()
        else:
            self._indexing.done(part)

    def _transaction(self, batch: list[Waiting]) -> None:
        """Run one transaction over *batch* and what else is queued."""
        connection = self._begin(batch)
        if connection is None:
            return
        self._drain(batch)
        batch[:] = [waiting for waiting in batch if waiting.claim()]
        # Closed by hand: an error keeps this frame, and an open cursor its closed connection.
        with closing(connection.cursor()) as cursor:
            self._run(connection, Tx(cursor, self._dialect), batch)

    def _run(self, connection: sqlite3.Connection, tx: Tx, batch: list[Waiting]) -> None:
        """Run *batch* in the transaction that has begun; if it fails, once more, each job apart."""
        try:
            run_groups(tx, batch)
            connection.execute("COMMIT")
            if tx.marked:
                self._indexing.owe()
        except Exception as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if len(batch) == 1 or primary_code(error) not in {0, CONSTRAINT}:
                raise  # a lone job, or the disk's fault: trying again would change nothing
            connection.execute("BEGIN IMMEDIATE")
            self._run_apart(tx, batch)
            connection.execute("COMMIT")
            self._indexing.owe()

    def _begin(self, batch: list[Waiting]) -> sqlite3.Connection | None:
        """Begin, waiting for foreign programs as long as any caller still waits for us."""
        while True:
            if self._given_up:
                raise StoreBusyError(
                    "the store was closed while another program held it; nothing was stored",
                    hint="open it again in a moment, and repeat what is missing",
                )
            try:
                self._connection = self._connection or self._connect()
                self._connection.execute("BEGIN IMMEDIATE")
            except Exception as error:
                if primary_code(error) != BUSY:
                    raise
                self._drain(batch)
                if all(waiting.claimed for waiting in batch):
                    batch.clear()
                    return None
            else:
                return self._connection

    def _drain(self, batch: list[Waiting]) -> None:
        """Move what is queued into *batch*; with the end among it, this batch is the last."""
        while len(batch) < MOST_JOBS and not self._ending:
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                return
            if waiting is None:
                self._ending = True
            else:
                batch.append(waiting)

    def _run_apart(self, tx: Tx, batch: list[Waiting]) -> None:
        """Run each job in a savepoint of its own, so that one bad job fails alone."""
        for waiting in batch:
            tx.cursor.execute("SAVEPOINT apart")
            try:
                waiting.outcome = waiting.function(tx, waiting.owner_id, [waiting.job])[0]
            except Exception as error:  # noqa: BLE001 - it is this job's outcome
                tx.cursor.execute("ROLLBACK TO apart")
                waiting.outcome = error
            tx.cursor.execute("RELEASE apart")

    def _forget_connection(self) -> None:
        """Close the connection: after a failed sync nothing it says can be believed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _settle(batch: list[Waiting]) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[Waiting]] = {}
    for waiting in batch:
        loops.setdefault(waiting.loop, []).append(waiting)
    for loop, group in loops.items():
        with suppress(RuntimeError):  # a loop that was closed has nobody left who waits
            loop.call_soon_threadsafe(_settle_here, group)


def _settle_here(group: list[Waiting]) -> None:
    for waiting in group:
        waiting.settle()
