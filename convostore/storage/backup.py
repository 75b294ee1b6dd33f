"""Backup and restore of a whole store, without ever opening its file by hand."""

from __future__ import annotations

import shlex
import sqlite3
import threading
from contextlib import ExitStack, closing, suppress
from pathlib import Path  # the report's fields are read at run time

import msgspec

from convostore.errors import StoreBusyError, StoreCorruptError, StoreOpenError
from convostore.storage.access import (
    BUSY_TIMEOUT_S,
    EMPTY,
    locked,
    look,
    our_errors,
    tries,
)
from convostore.storage.check import check
from convostore.storage.copies import (
    BESIDE,
    beside,
    copy_whole,
    give_name,
    name_free,
    sync,
    unfinished,
)
from convostore.storage.faults import (
    BUSY,
    CANTOPEN,
    CORRUPT,
    FULL,
    IOERR,
    NOTADB,
    is_writable,
    primary_code,
    read_only,
    translate,
)
from convostore.storage.files import prepare, refuse_network_share
from convostore.storage.guard import store_at
from convostore.storage.migrate import is_known, too_new
from convostore.storage.sqlite import connect_writer
from convostore.storage.tables import REVISION

_OTHERS_WAIT_S = 1.0  # a program that only looks is gone by then; one that stays open is not
_POLL_S = 0.02


class RestoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did.

    Attributes:
        kept: where the store that was replaced is now; None if there was none.
        revision: the schema's of the restored store.
        needs_upgrade: it is older than this program's: `convostore db upgrade` is next.
    """

    kept: Path | None
    revision: str
    needs_upgrade: bool


def backup(path: Path, to: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
    """Write a copy of the store to a new file of mode 0600. Blocks; others may go on writing.

    Every turn that was acknowledged before the call is in it. The copy is on disk when this
    returns; if it fails, nothing is left of it.

    Raises:
        StoreOpenError: no store here, *to* exists, or there is no folder for it.
        StoreFullError: there is no room for it.
        StoreError: whatever else the system or the database says.
    """
    prepare(path, create=False)
    if not to.parent.is_dir():
        raise StoreOpenError(f"there is no folder {to.parent}", hint="make it, or name another")
    taken = StoreOpenError(
        f"{to} exists already", hint="name a new file: a backup never replaces anything"
    )
    if to.exists() or to.is_symlink():
        raise taken
    if (what := store_at(to, path)) is not None:
        raise StoreOpenError(f"{to} is {what}", hint="name another file for the backup")
    with our_errors(path), look(path, busy_timeout_s) as (connection, revision):
        if revision == EMPTY:
            raise _no_chats(path)
        try:
            with unfinished(to) as part:
                _copy_out(connection, part, path)
                give_name(part, to)
        except FileExistsError:
            raise taken from None


def _copy_out(connection: sqlite3.Connection, part: Path, path: Path) -> None:
    """Copy the store at *path*; where it is the one that is damaged, that is said of it."""
    try:
        copy_whole(connection, part)
    except sqlite3.DatabaseError as error:
        if primary_code(error) in {CORRUPT, NOTADB}:
            raise translate(error, path) from error
        raise


def restore(path: Path, source: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> RestoreReport:
    """Put a copy of *source* in the place of the store at *path*. Blocks.

    The store that is replaced is kept beside it. A process that dies on the way leaves the old
    store or the new one.

    Raises:
        StoreOpenError: *source* is no store, or *path* another program's file.
        StoreCorruptError: *source* is damaged.
        SchemaTooNewError: *source* is of a newer program.
        StoreBusyError: another program has the store open.
        StoreFullError: there is no room for the copy.
        StoreError: whatever else the system or the database says.
    """
    path = path.resolve()  # a link stays a link, and SQLite's own files lie beside the real file
    _prepare_places(path, source)
    with unfinished(path) as part:
        revision = _copy(source, part, busy_timeout_s)
        problems = check(part, deep=False).problems
        if problems:
            raise _damaged_backup(source, f"{source} is damaged: {problems[0]}")
        connect_writer(part).close()  # in WAL mode, so that whoever opens it is seen by the next
        sync(part)
        with locked(path, busy_timeout_s):
            kept = _take_place(part, path)
    return RestoreReport(kept=kept, revision=revision, needs_upgrade=revision != REVISION)


def _prepare_places(path: Path, source: Path) -> None:
    if not source.is_file():
        raise StoreOpenError(f"there is no backup at {source}", hint="check the name")
    if path.parent.exists() and not is_writable(path):
        elsewhere = f"restore elsewhere: convostore --db NEW db restore {shlex.quote(str(source))}"
        raise read_only(path, otherwise=elsewhere)
    if path.exists():
        prepare(path, create=False)
        if path.samefile(source):
            raise StoreOpenError(f"{source} is the store itself", hint="name a backup of it")
        return
    with our_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_network_share(path)


def _copy(source: Path, part: Path, busy_timeout_s: float) -> str:
    """Copy *source* page by page, damage included, so that the check sees it; return its revision."""
    try:
        with our_errors(source), look(source, busy_timeout_s) as (_, revision):
            pass
    except StoreCorruptError as error:
        raise _damaged_backup(source, str(error)) from error
    except StoreOpenError as error:
        if primary_code(error.__cause__ or error) != CANTOPEN:  # it is something else than a store
            error.hint = "name a copy that was made with: convostore db backup FILE"
        raise
    if revision == EMPTY:
        raise _no_chats(source)
    if not is_known(revision):
        raise too_new(source, revision)
    with look(source, busy_timeout_s) as (connection, _), closing(sqlite3.connect(part)) as copy:
        try:
            connection.backup(copy)
        except sqlite3.Error as error:
            if primary_code(error) in {FULL, IOERR}:
                raise  # it is the copy that failed
            raise translate(error, source) from error
    return revision


def _damaged_backup(source: Path, message: str) -> StoreCorruptError:
    name = shlex.quote(str(source))
    return StoreCorruptError(
        message,
        hint="restore an older backup; without one, save what can be read of this one: "
        f"convostore --db {name} export --all -o FILE",
    )


def _no_chats(path: Path) -> StoreOpenError:
    return StoreOpenError(f"{path} has no chats in it yet", hint="check the name")


def _take_place(part: Path, path: Path) -> Path | None:
    """Replace the store by *part* at once, and return where the old one is kept."""
    with ExitStack() as held:
        if path.exists():
            _refuse_another_programs(path)
            _keep_others_out(held, path)
        kept = _set_aside(path)
        part.rename(path)
        sync(path.parent)
    return kept


def _refuse_another_programs(path: Path) -> None:
    with suppress(StoreCorruptError, sqlite3.DatabaseError), look(path, _OTHERS_WAIT_S):
        pass  # whose it is, is looked up on the way in


def _keep_others_out(held: ExitStack, path: Path) -> None:
    """See that nobody has the store open, and let nobody in until *held* ends.

    Leaving WAL mode needs to be alone, and takes the -wal and -shm files away. A file too
    damaged for that cannot be held, but neither can anybody work with it.
    """
    connection = held.enter_context(closing(sqlite3.connect(path, isolation_level=None, timeout=0)))
    pause = threading.Event()
    for _ in range(tries(_OTHERS_WAIT_S, _POLL_S)):
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            if primary_code(error) in {CORRUPT, NOTADB}:
                held.close()
                return
            if primary_code(error) != BUSY:
                raise
            pause.wait(_POLL_S)
        else:
            return
    raise StoreBusyError(
        f"another program has {path} open; nothing was changed",
        hint="close every chat and program that uses it, and try again",
    )


def _set_aside(path: Path) -> Path | None:
    """Give the old store a second name, and move what is left of its log there too.

    Only a damaged or half removed store has a log left. Beside the new store it would be taken
    for the new one's.
    Source: SQLite, "How To Corrupt An SQLite Database File", 1.4.
    """
    kept = None
    if path.exists():
        kept = name_free(path, path.with_name(f"{path.name}.before-restore"))
        kept.chmod(0o600)
    for ending in BESIDE:
        left = beside(path, ending)
        if left.exists():
            name_free(left, beside(kept or path.with_name(f"{path.name}.lost"), ending))
            left.unlink(missing_ok=True)
    return kept
