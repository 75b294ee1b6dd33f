"""From any file to a store of this program's schema, or a clear reason why not.

Alembic is imported only when there is work. All revisions run in one transaction, begun at once
and for writing: a process that dies leaves the old schema or the new one, and of two processes
the second finds the work done.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, StaticPool, create_engine, event

from convostore.errors import (
    SchemaOutdatedError,
    SchemaTooNewError,
    StoreCorruptError,
    StoreOpenError,
)
from convostore.storage.access import (
    BUSY_TIMEOUT_S,
    EMPTY,
    alone,
    look,
    our_errors,
    stored_revision,
)
from convostore.storage.copies import copy_whole, name_free, unfinished
from convostore.storage.files import prepare
from convostore.storage.tables import REVISION

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from alembic.config import Config

    from convostore.storage.address import Server

IN_MEMORY: Final = Path(":memory:")  # as messages name it
_log = logging.getLogger(__name__)
_alembic = threading.Lock()  # alembic keeps the running migration in its module


def ensure_schema(
    path: Path, *, create: bool, migrate: bool, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> None:
    """Make sure that *path* is a store of this program's schema. Blocks; one query when it is.

    Args:
        path: the database file.
        create: make the store where there is none yet.
        migrate: upgrade an older schema, after a backup beside the file.
        busy_timeout_s: how long to wait for other programs.

    Raises:
        StoreOpenError: no store, another program's file, no permission.
        SchemaOutdatedError: made by an older program, and *migrate* is False.
        SchemaTooNewError: made by a newer program.
        StoreBusyError: others held it all the time; nothing was changed.
        StoreCorruptError: the file is damaged.
        StoreFullError: no room for the schema or the backup; nothing was changed.
    """
    prepare(path, create=create)
    with our_errors(path), look(path, busy_timeout_s) as (_, revision):
        pass
    if revision == REVISION:
        return
    if revision == EMPTY and not create:
        raise StoreOpenError(
            f"{path} has no chats in it yet", hint="start one: convostore chat, or check the name"
        )
    if revision != EMPTY:
        refuse(path, revision, migrate=migrate)
    with alone(path, busy_timeout_s) as connection:
        _bring_up(connection, path)


def upgrade(path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> str:
    """Bring a store to this program's schema, after a backup, and return its revision. Blocks.

    Raises:
        StoreError: as `ensure_schema`.
    """
    ensure_schema(path, create=False, migrate=True, busy_timeout_s=busy_timeout_s)
    return REVISION


def is_known(revision: str) -> bool:
    """Tell whether this program can upgrade a store of *revision*, or needs not to."""
    return revision == REVISION or revision in _history()


def too_new(store: Path | Server, revision: str) -> SchemaTooNewError:
    """Return the error for a store from the future."""
    return SchemaTooNewError(
        f"{store} was made by a newer convostore (its schema is {revision}, ours {REVISION})",
        hint="install the newer one: in the folder of its source, pip install .",
    )


def refuse(store: Path | Server, revision: str, *, migrate: bool) -> None:
    """Refuse a store that is not of this program's revision, unless it may be upgraded.

    Raises:
        SchemaTooNewError: it was made by a newer program.
        SchemaOutdatedError: it was made by an older one, and *migrate* is False.
    """
    if not is_known(revision):
        raise too_new(store, revision)
    if not migrate:
        backup = "a backup is made first" if isinstance(store, Path) else "after a pg_dump"
        raise SchemaOutdatedError(
            f"{store} was made by an older convostore (its schema is {revision}, ours {REVISION})",
            hint=f"bring it up to date, {backup}: convostore db upgrade",
        )


def run_revisions(connection: Connection) -> None:
    """Run the revisions that are missing, in the transaction of *connection*."""
    from alembic import command

    config = _config()
    with _alembic:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def make_schema(raw: sqlite3.Connection) -> None:
    """Make the tables in an empty database that is in no file. Blocks."""
    with _transaction(raw, IN_MEMORY) as connection:
        run_revisions(connection)


@contextlib.contextmanager
def transaction(path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Iterator[Connection]:
    """Yield the one transaction in which revisions run, on the file *path*; made if missing.

    Raises:
        StoreError: it cannot be begun.
    """
    prepare(path, create=True)
    with alone(path, busy_timeout_s) as raw, _transaction(raw, path) as connection:
        yield connection


def _bring_up(connection: sqlite3.Connection, path: Path) -> None:
    """Run the revisions that are missing now, for another process may have been first."""
    revision = stored_revision(connection, path)
    if revision == REVISION:
        return
    kept = None if revision == EMPTY else _keep_copy(connection, path, revision)
    with _transaction(connection, path) as upgrading:
        run_revisions(upgrading)
    if kept is not None:
        _log.info(
            "%s was brought from schema %s to %s; as it was: %s", path, revision, REVISION, kept
        )


def _keep_copy(connection: sqlite3.Connection, path: Path, revision: str) -> Path:
    """Write a backup beside the store, named after its revision, never over another one; return it."""
    kept = path.with_name(f"{path.name}.before-upgrade-{revision}")
    with unfinished(kept) as part:
        copy_whole(connection, part)
        return name_free(part, kept)


@contextlib.contextmanager
def _transaction(raw: sqlite3.Connection, path: Path) -> Iterator[Connection]:
    """Lend a connection to SQLAlchemy for one transaction.

    Foreign keys are not enforced inside it, for a table that is rebuilt would take those that
    point to it along; they are checked as a whole before the commit.
    Source: SQLite, "ALTER TABLE", "Making Other Kinds Of Table Schema Changes".
    """
    raw.execute("PRAGMA foreign_keys = OFF")
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    event.listen(engine, "begin", _begin)
    with engine.begin() as connection:
        yield connection
        if raw.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise StoreCorruptError(
                f"rows of {path} hang on rows that are gone; the upgrade was undone",
                hint="see which: convostore db check",
            )


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _config() -> Config:
    """Build alembic's configuration for the installed scripts.

    A `%` in a path is doubled, for the configuration's parser would take it for its own.
    """
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    return config


def _scripts() -> Traversable:
    return resources.files("convostore.migrations")


def _history() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
