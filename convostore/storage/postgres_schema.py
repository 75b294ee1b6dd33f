"""From any database of a server to a store of this program's schema, or a clear reason why not.

As `migrate.py` does it for a file: one history, one transaction around all revisions, and of two
processes that come at once the second finds the work done; here an advisory lock lets them in one
by one. Nothing else in this package takes such a lock.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import NullPool, column, exists, func, literal, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from convostore.errors import StoreCorruptError, StoreOpenError
from convostore.storage.access import BUSY_TIMEOUT_S, EMPTY
from convostore.storage.drivers import driver_of
from convostore.storage.migrate import refuse, run_revisions
from convostore.storage.postgres_faults import (
    UNDEFINED_TABLE,
    is_drivers,
    is_lost,
    state_of,
    translate,
)
from convostore.storage.tables import REVISION, VERSION_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from convostore.storage.address import Server
    from convostore.storage.drivers import Driver

_LOCK_KEY: Final = 0x636F6E766F73746F  # "convosto": who else would take it
_version = table(VERSION_TABLE, column("version_num"))
_REVISION: Final = str(select(_version.c.version_num))
_class = table("pg_class", column("oid"), column("relkind"), column("relnamespace"))
_depends = table("pg_depend", column("objid"), column("deptype"))
# Tables, but for those that came with an extension.
_TABLES: Final = (
    select(func.count())
    .select_from(_class)
    .where(
        _class.c.relkind.in_(["r", "p"]),
        _class.c.relnamespace == text("current_schema()::regnamespace"),
        ~exists().where(_depends.c.objid == _class.c.oid, _depends.c.deptype == literal("e")),
    )
)


async def ensure_schema(
    server: Server, *, create: bool, migrate: bool, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> None:
    """Make sure that a database is a store of this program's schema; one query when it is.

    Raises:
        StoreOpenError: it cannot be reached, holds another program's tables, or has no chats.
        SchemaOutdatedError: made by an older program, and *migrate* is False.
        SchemaTooNewError: made by a newer program.
        StoreBusyError: another process brought it up all the time; nothing was changed.
        StoreCorruptError: it does not say its revision any more.
        StoreError: whatever else the server says.
    """
    driver = driver_of(server, busy_timeout_s=busy_timeout_s)
    revision = await _seen_revision(driver, server)
    if revision == REVISION:
        return
    if revision == EMPTY and not create:
        raise StoreOpenError(
            f"{server} has no chats in it yet", hint="start one: convostore chat, or check the name"
        )
    if revision != EMPTY:
        refuse(server, revision, migrate=migrate)
    # In a thread, for alembic is synchronous and keeps what it runs in its module.
    await asyncio.to_thread(run_in_transaction, server, _bring_up, busy_timeout_s)


def run_in_transaction(
    server: Server, work: Callable[[Connection, Server], None], busy_timeout_s: float
) -> None:
    """Run *work* in the one transaction in which revisions run; alone. Blocks.

    Raises:
        StoreError: it cannot be begun, or failed.
    """

    async def run() -> None:
        driver = driver_of(server, busy_timeout_s=busy_timeout_s)
        engine = create_async_engine(
            f"postgresql+{server.driver}://",
            async_creator=lambda: driver.connect(reading=False),
            poolclass=NullPool,
        )
        async with engine.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(_LOCK_KEY)))
            await connection.run_sync(work, server)

    try:
        asyncio.run(run())
    except DBAPIError as error:
        raise translate(error.orig or error, server) from error
    except Exception as error:
        ours = translate(error, server)
        if ours is error:
            raise
        raise ours from error


async def _seen_revision(driver: Driver, server: Server, tries: int = 3) -> str:
    """Return the database's revision, EMPTY when there is no table yet."""
    connection = None
    try:
        connection = await driver.connect(reading=True)
        try:
            return await _revision(driver, connection, server)
        finally:
            await driver.close(connection)
    except Exception as error:
        if connection is not None and is_lost(error) and tries > 1:
            return await _seen_revision(driver, server, tries - 1)  # it answered a moment ago
        if _is_unreadable(error):
            # What the driver says may hold a piece of the password, taken for something else.
            raise StoreOpenError(
                f"{server} is no URL that {server.driver} can read",
                hint="postgresql://USER@HOST/DATABASE; in a password %40 for @ and %2F for /",
            ) from None
        if not is_drivers(error):
            raise
        raise translate(error, server) from error


def _is_unreadable(error: Exception) -> bool:
    """Tell whether a driver could not read the URL: asyncpg's way and psycopg's."""
    refused = type(error).__name__ == "ProgrammingError" and not state_of(error)
    return refused or isinstance(error, ValueError | TypeError)


async def _revision(driver: Driver, connection: Any, server: Server) -> str:
    try:
        found = await driver.fetch(connection, _REVISION, ())
    except Exception as error:
        if state_of(error) != UNDEFINED_TABLE:
            raise
        compiled = _TABLES.compile(dialect=driver.dialect, compile_kwargs={"literal_binds": True})
        counted = await driver.fetch(connection, str(compiled), ())
        if counted[0][0]:
            raise _another_program(server) from error
        return EMPTY
    return _said(found[0][0] if found else None, server)


def _bring_up(connection: Connection, server: Server) -> None:
    """Run the revisions that are missing now, for another process may have been first."""
    if connection.execute(select(func.to_regclass(VERSION_TABLE).is_not(None))).scalar_one():
        found = connection.execute(select(_version.c.version_num)).scalar_one_or_none()
        if _said(found, server) == REVISION:
            return
    else:
        if connection.execute(_TABLES).scalar_one():
            raise _another_program(server)
        _refuse_encoding(connection, server)
    run_revisions(connection)


def _refuse_encoding(connection: Connection, server: Server) -> None:
    encoding = connection.execute(select(func.current_setting("server_encoding"))).scalar_one()
    if encoding != "UTF8":
        raise StoreOpenError(
            f"{server} keeps texts as {encoding}, which does not have every character",
            hint="make another database: createdb --encoding=UTF8 --template=template0 NAME",
        )


def _said(revision: object, server: Server) -> str:
    if revision is None:
        raise StoreCorruptError(
            f"{server} does not say its schema's revision any more",
            hint="restore the database from a dump: pg_restore",
        )
    return str(revision)


def _another_program(server: Server) -> StoreOpenError:
    return StoreOpenError(
        f"{server} holds the tables of another program",
        hint="make a database for the chats: createdb chats",
    )
