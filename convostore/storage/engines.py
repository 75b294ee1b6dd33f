"""The choice between the two engines: what is done to a store, by where it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from convostore.errors import StoreError
from convostore.storage import migrate as schema
from convostore.storage.files import file_at, real
from convostore.storage.sqlite import SqliteDatabase
from convostore.storage.tables import REVISION

if TYPE_CHECKING:
    from convostore.storage.address import Server
    from convostore.storage.backup import RestoreReport
    from convostore.storage.database import Database
    from convostore.storage.memory import MemoryDatabase
    from convostore.storage.soundness import CheckReport


async def open_database(
    where: Path | Server, *, create: bool, migrate: bool, busy_timeout_s: float
) -> Database:
    """Open a store, making or upgrading it where that is allowed.

    Raises:
        StoreError: it cannot be opened; see `migrate.ensure_schema`.
    """
    if isinstance(where, Path):
        path = real(where)
        await asyncio.to_thread(
            schema.ensure_schema,
            path,
            create=create,
            migrate=migrate,
            busy_timeout_s=busy_timeout_s,
        )
        return SqliteDatabase(path, busy_timeout_s=busy_timeout_s)
    from convostore.storage import postgres, postgres_schema

    await postgres_schema.ensure_schema(
        where, create=create, migrate=migrate, busy_timeout_s=busy_timeout_s
    )
    return postgres.PostgresDatabase(where, busy_timeout_s=busy_timeout_s)


async def open_in_memory(*, busy_timeout_s: float) -> MemoryDatabase:
    """Make an empty store that is in no file, and gone when it is closed."""
    from convostore.storage.memory import MemoryDatabase

    database = MemoryDatabase(busy_timeout_s=busy_timeout_s)
    await asyncio.to_thread(database.make)
    return database


async def upgrade(where: Path | Server) -> str:
    """Bring a store to this program's schema and return its revision; a file is backed up first.

    Raises:
        StoreError: it cannot be opened, is newer than this program, or is in use.
    """
    if isinstance(where, Path):
        return await asyncio.to_thread(schema.upgrade, real(where))
    from convostore.storage import postgres_schema

    await postgres_schema.ensure_schema(where, create=False, migrate=True)
    return REVISION


async def check(where: Path | Server, *, deep: bool) -> CheckReport:
    """Look for damage in a store.

    Raises:
        StoreError: it cannot be opened.
    """
    if isinstance(where, Path):
        from convostore.storage import check as file_check

        return await asyncio.to_thread(file_check.check, real(where), deep=deep)
    from convostore.storage import postgres_check

    return await postgres_check.check(where, deep=deep)


async def backup(where: Path | Server, to: Path | str) -> None:
    """Write a copy of a whole store to a new file.

    Raises:
        StoreError: the file exists or cannot be written, or the store is no file.
    """
    if not isinstance(where, Path):
        raise StoreError(
            f"{where} is backed up with PostgreSQL's own tools",
            hint="pg_dump --format=custom --file=FILE URL",
        )
    from convostore.storage import backup as files

    await asyncio.to_thread(files.backup, real(where), file_at(to))


async def restore(where: Path | Server, source: Path | str) -> RestoreReport:
    """Put a backup in a store's place.

    Raises:
        StoreError: *source* is no sound store, or the store is in use or no file.
    """
    if not isinstance(where, Path):
        raise StoreError(
            f"{where} is restored with PostgreSQL's own tools",
            hint="createdb NEW, then: pg_restore --dbname=NEW FILE",
        )
    from convostore.storage import backup as files

    return await asyncio.to_thread(files.restore, real(where), file_at(source))
