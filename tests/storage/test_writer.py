"""The one writer of a process: grouping, one bad job, withdrawal, and how it ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from convostore.errors import MessageNotFoundError, StoreBusyError, StoreClosedError, StoreError
from convostore.records import Message
from convostore.storage import reads
from convostore.storage import sqlite as database_module
from convostore.storage.readers import READERS
from convostore.storage.sqlite import SqliteDatabase, connect_writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from convostore import Store
    from convostore.storage.statements import Tx


pytestmark = pytest.mark.only(
    "sqlite", reason="it is about the thread and the lock beside the file"
)


@contextmanager
def lock_held(path: Path) -> Iterator[None]:
    """Hold the lock between processes, as another process that is writing."""
    file = os.open(path.with_name(path.name + "-lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch, index_at_rest: None) -> list[str]:
    """Record every statement of writing connections that are opened from now on."""
    seen: list[str] = []

    def connect(path: Path) -> sqlite3.Connection:
        connection = connect_writer(path)
        connection.set_trace_callback(seen.append)
        return connection

    monkeypatch.setattr(database_module, "connect_writer", connect)
    return seen


def insert_names(tx: Tx, _: str, jobs: Sequence[str]) -> list[Any]:
    """Store names; `boom` is a fault in the code, a name twice is a fault of the data."""
    for job in jobs:
        if job == "boom":
            raise ZeroDivisionError(job)
        tx.cursor.execute("INSERT INTO store_meta VALUES (?, 'x')", (job,))
    return list(jobs)


async def names(database: SqliteDatabase) -> set[str]:
    """Return the names that `insert_names` stored."""
    rows = sqlite3.connect(database.path)
    try:
        found = rows.execute("SELECT name FROM store_meta WHERE value = 'x'").fetchall()
    finally:
        rows.close()
    return {name for (name,) in found}


@pytest.mark.asyncio
async def test_sixty_four_waiting_writers_share_two_commits(
    path: Path, statements: list[str]
) -> None:
    """What queues up behind a lock is committed together, and each caller gets its own outcome."""
    async with convostore.open(path) as store:
        chats = [await store.create(title=str(number)) for number in range(64)]
        statements.clear()
        with lock_held(path):
            tasks = [asyncio.create_task(c.append(Message.user(c.title or ""))) for c in chats]
            await _until(lambda: _queued(store) >= 63)
        stored = await asyncio.gather(*tasks)
    assert [one[0].text for one in stored] == [chat.title for chat in chats]
    assert statements.count("COMMIT") <= 2
    assert statements.count("BEGIN IMMEDIATE") == statements.count("COMMIT")


@pytest.mark.asyncio
async def test_a_batch_is_bounded(path: Path, statements: list[str]) -> None:
    """600 waiting jobs take three transactions, so a failure never throws back more than 256."""
    async with convostore.open(path) as store:
        await store.create()
        database = await _database(store)
        statements.clear()
        with lock_held(path):
            tasks = [
                asyncio.create_task(database.write(insert_names, "", str(n))) for n in range(600)
            ]
            await _until(lambda: _queued(store) >= 599)
        await asyncio.gather(*tasks)
        assert len(await names(database)) == 600
    assert statements.count("COMMIT") == 3


@pytest.mark.asyncio
@pytest.mark.parametrize("bad", ["boom", "first"])
async def test_one_bad_job_fails_alone(path: Path, database: SqliteDatabase, bad: str) -> None:
    """A job that raises in the middle of a group takes none of its neighbours with it."""
    await database.write(insert_names, "", "first")
    jobs = ["a", "b", bad, "c", "d"]
    with lock_held(path):
        tasks = [asyncio.create_task(database.write(insert_names, "", job)) for job in jobs]
        await asyncio.sleep(0)
        await _until(lambda: all(not task.done() for task in tasks))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    failed = [job for job, one in zip(jobs, outcomes, strict=True) if isinstance(one, Exception)]
    assert failed == [bad]
    assert isinstance(outcomes[2], ZeroDivisionError if bad == "boom" else StoreError)
    assert await names(database) == {"first", "a", "b", "c", "d"}


@pytest.mark.asyncio
async def test_an_error_of_the_driver_is_kept_as_the_cause(database: SqliteDatabase) -> None:
    """Whoever looks into a typed error finds what the database itself said."""
    await database.write(insert_names, "", "twice")
    with pytest.raises(StoreError) as caught:
        await database.write(insert_names, "", "twice")
    assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)


@pytest.mark.asyncio
async def test_a_withdrawn_job_is_certainly_not_stored(
    path: Path, database: SqliteDatabase
) -> None:
    """A write that timed out behind another process is not stored when that one lets go."""
    with lock_held(path), pytest.raises(StoreBusyError, match="nothing was stored"):
        await database.write(insert_names, "", "late")
    await database.write(insert_names, "", "next")
    assert await names(database) == {"next"}


@pytest.mark.asyncio
async def test_a_withdrawn_job_is_not_stored_behind_a_foreign_program(
    database: SqliteDatabase, foreign: Any
) -> None:
    """The same with a program that knows only SQLite's own locks."""
    with foreign(), pytest.raises(StoreBusyError, match="nothing was stored"):
        await database.write(insert_names, "", "late")
    await database.write(insert_names, "", "next")
    assert await names(database) == {"next"}


@pytest.mark.asyncio
async def test_the_first_write_waits_for_a_foreign_program_too(
    path: Path, store: Store, foreign: Any
) -> None:
    """A file that is locked whole while the writer connects is waited for, not refused at once."""
    assert store.path == path
    with foreign("PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"):
        database = SqliteDatabase(path, busy_timeout_s=0.6)
        with pytest.raises(StoreBusyError, match=r"was busy for 0\.6 s; nothing was stored"):
            await database.write(insert_names, "", "early")
    await database.write(insert_names, "", "next")
    assert await names(database) == {"next"}
    await database.aclose()


@pytest.mark.asyncio
async def test_a_caller_cancelled_before_its_turn_is_not_stored(
    path: Path, database: SqliteDatabase
) -> None:
    """Of two queued jobs the cancelled one is left out, and the other one is stored."""
    with lock_held(path):
        gone = asyncio.create_task(database.write(insert_names, "", "gone"))
        kept = asyncio.create_task(database.write(insert_names, "", "kept"))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
    assert await kept == "kept"
    assert await names(database) == {"kept"}


@pytest.mark.asyncio
async def test_callers_cancelled_at_random_are_stored_once_or_not_at_all(
    database: SqliteDatabase,
) -> None:
    """Every write that returned is there, none is there twice, and the writer goes on."""

    async def one(name: str, patience: int) -> str | None:
        task = asyncio.create_task(database.write(insert_names, "", name))
        for _ in range(patience):
            await asyncio.sleep(0)
        task.cancel()
        try:
            return str(await task)
        except asyncio.CancelledError:
            return None

    outcomes = await asyncio.gather(*[one(f"n{n}", n % 40) for n in range(300)])
    acknowledged = {name for name in outcomes if name}
    await database.write(insert_names, "", "last")
    assert acknowledged | {"last"} <= await names(database)


@pytest.mark.asyncio
async def test_closing_writes_what_is_queued(path: Path, store: Store) -> None:
    """A write that was begun before the close is acknowledged, not dropped."""
    await store.create()
    database = await _database(store)
    with lock_held(path):
        tasks = [asyncio.create_task(database.write(insert_names, "", f"{n}")) for n in range(20)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(store.aclose())
        await asyncio.sleep(0)
    assert await asyncio.gather(*tasks) == [f"{n}" for n in range(20)]
    await closing
    with pytest.raises(StoreClosedError):
        await database.write(insert_names, "", "after")


@pytest.mark.asyncio
async def test_closing_returns_while_another_process_holds_the_lock(
    path: Path, store: Store
) -> None:
    """A neighbour that hangs with the lock holds up a close for its bound, not for ever."""
    await store.create()
    database = await _database(store)
    with lock_held(path):
        write = asyncio.create_task(database.write(insert_names, "", "late"))
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await store.aclose()
        with pytest.raises(StoreBusyError):
            await write


@pytest.mark.asyncio
async def test_closing_waits_for_no_lock_where_nobody_waits_for_a_job(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only job was withdrawn: the thread that still stands at the lock holds nobody up."""
    monkeypatch.setattr(database_module, "CLOSE_S", 3600)
    store = await convostore.open(path, busy_timeout_s=0.1)
    await store.create()
    database = await _database(store)
    with lock_held(path):
        with pytest.raises(StoreBusyError):
            await database.write(insert_names, "", "late")
        database.busy_timeout_s = 3600
        async with asyncio.timeout(60):
            await store.aclose()
    assert await names(database) == set()


@pytest.mark.asyncio
async def test_the_writer_ends_although_its_last_transaction_failed(
    path: Path, store: Store
) -> None:
    """A close that arrives together with a failing job still ends the thread."""
    await store.create()
    database = await _database(store)
    thread = database._writer._thread if database._writer else None
    assert thread is not None
    with lock_held(path):
        boom = asyncio.create_task(database.write(insert_names, "", "boom"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(store.aclose())
        await _until(lambda: _queued(store) >= 1)
    with pytest.raises(ZeroDivisionError):
        await boom
    await closing
    assert not thread.is_alive()


@pytest.mark.asyncio
async def test_a_store_refuses_after_a_fork(database: SqliteDatabase) -> None:
    """A child that inherited the store gets an error instead of shared file offsets."""
    database._pid += 1
    with pytest.raises(StoreClosedError, match="forked"):
        await database.write(insert_names, "", "child")
    database._pid -= 1
    await database.write(insert_names, "", "parent")
    assert await names(database) == {"parent"}


@pytest.mark.asyncio
async def test_every_connection_is_set_up_as_designed(store: Store, path: Path) -> None:
    """WAL, a sync for each commit, foreign keys and big pages; readers cannot write."""
    await store.create()
    database = await _database(store)
    await asyncio.gather(*(store.list() for _ in range(2 * READERS)))
    connection = connect_writer(path)
    try:
        pragmas = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "page_size")
        }
    finally:
        connection.close()
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "page_size": 8192,
    }
    assert database._writer is not None
    writing = database._writer._connection
    assert writing is not None
    assert writing.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert len(database._readers._open) == READERS
    for reader in database._readers._open:
        assert list(await reader.driver.execute_fetchall("PRAGMA query_only")) == [(1,)]


@pytest.mark.asyncio
async def test_who_reads_alone_uses_one_connection(store: Store) -> None:
    """One read after the other finds the same one, whose pages it has seen."""
    for _ in range(2 * READERS):
        await store.list()
    assert len((await _database(store))._readers._open) == 1


@pytest.mark.asyncio
async def test_what_is_made_of_rows_may_fail_by_our_errors(store: Store) -> None:
    """An error from the reading thread arrives as it was raised, and the reader is free again."""
    chat = await store.create()
    await chat.append(Message.user("one"))
    database = await _database(store)
    for _ in range(2):
        with pytest.raises(MessageNotFoundError, match="is gone"):
            await reads.path(database, chat._place.owner_id, chat.id, 7)
    assert [reader.reads for reader in database._readers._open] == [0]


async def _database(store: Store) -> SqliteDatabase:
    database = (await store._opener.opened()).database
    assert isinstance(database, SqliteDatabase)
    return database


def _queued(store: Store) -> int:
    opened = store._opener._opened
    database = opened.database if opened else None
    writer = database._writer if isinstance(database, SqliteDatabase) else None
    return writer._queue.qsize() if writer else 0


async def _until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)
