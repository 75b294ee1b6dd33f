"""The two drivers of PostgreSQL, as alike as the engine needs them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import parse_qs

from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect
from sqlalchemy.dialects.postgresql import psycopg as psycopg_dialect
from sqlalchemy.util import greenlet_spawn

from convostore.errors import StoreOpenError
from convostore.storage.asyncpg_writing import AsyncpgWriting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Dialect

    from convostore.storage.address import Server
    from convostore.storage.statements import Cursor, Row

# A process that was stopped in the middle of a transaction keeps others from its conversations for
# as long as it takes other machines to call its replies dead (`leases.DEAD_AFTER_MS`).
_IDLE_IN_TRANSACTION_MS: Final = 30_000


class Writing(Protocol):
    """A connection in the shape of DB-API, to be used inside of `greenlet_spawn`; it begins by itself."""

    @property
    def driver_connection(self) -> Any:
        """The driver's own connection."""
        ...

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        ...

    def commit(self) -> None:
        """Commit what was done since the last commit or rollback."""
        ...

    def rollback(self) -> None:
        """Undo what was done since the last commit or rollback."""
        ...


class Driver(Protocol):
    """What the engine needs of a driver."""

    dialect: Dialect

    async def connect(self, *, reading: bool) -> Any:
        """Connect; a connection for reading commits each statement by itself."""
        ...

    async def writing(self) -> Writing:
        """Connect for transactions."""
        ...

    async def fetch(self, connection: Any, sql: str, values: Sequence[Any]) -> list[Row]:
        """Run one statement and return its rows."""
        ...

    def is_open(self, connection: Any) -> bool:
        """Tell whether a connection can still be used."""
        ...

    async def close(self, connection: Any) -> None:
        """Close a connection in good order, or at once where that is not to be had."""
        ...


def driver_of(server: Server, *, busy_timeout_s: float) -> Driver:
    """Return the driver that a server's URL names.

    Raises:
        StoreOpenError: it is not installed.
    """
    try:
        if server.driver == "psycopg":
            return Psycopg(server, busy_timeout_s)
        return Asyncpg(server, busy_timeout_s)
    except ImportError as error:
        is_own = server.driver == "asyncpg"
        package = ".[postgres]" if is_own else "psycopg[binary]"
        where = "in the folder of convostore's source: " if is_own else ""
        raise StoreOpenError(
            f"PostgreSQL needs the driver {server.driver}, which is not installed",
            hint=f"{where}pip install '{package}'",
        ) from error


def _settings(busy_timeout_s: float) -> dict[str, str]:
    return {
        "application_name": "convostore",
        "lock_timeout": str(max(1, int(busy_timeout_s * 1000))),
        "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION_MS),
    }


def _named(server: Server) -> set[str]:
    """Return the options that the URL names; they win over ours."""
    return set(parse_qs(server.dsn.partition("?")[2], keep_blank_values=True))


class Asyncpg:
    """asyncpg, the default."""

    def __init__(self, server: Server, busy_timeout_s: float) -> None:
        import asyncpg

        self._asyncpg = asyncpg
        self._dsn, self._timeout_s = server.dsn, busy_timeout_s
        named = _named(server)
        self._settings = {k: v for k, v in _settings(busy_timeout_s).items() if k not in named}
        self.dialect: Dialect = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects are not annotated

    async def connect(self, *, reading: bool) -> Any:  # noqa: ARG002 - asyncpg needs no telling
        """Connect; without a transaction each statement is one of its own anyway."""
        return await self._asyncpg.connect(
            self._dsn, timeout=self._timeout_s, server_settings=self._settings
        )

    async def writing(self) -> Writing:
        """Connect for transactions."""
        return AsyncpgWriting(await self.connect(reading=False))

    async def fetch(self, connection: Any, sql: str, values: Sequence[Any]) -> list[Row]:
        """Run one statement and return its rows."""
        return list(map(tuple, await connection.fetch(sql, *values)))

    def is_open(self, connection: Any) -> bool:
        """Tell whether a connection can still be used."""
        return not connection.is_closed()

    async def close(self, connection: Any) -> None:
        """Close a connection in good order, within a second, or else at once."""
        try:
            await connection.close(timeout=1)
        except (OSError, TimeoutError, self._asyncpg.PostgresError, self._asyncpg.InterfaceError):
            connection.terminate()
        except BaseException:
            connection.terminate()
            raise


class Psycopg:
    """psycopg, for those who name it."""

    def __init__(self, server: Server, busy_timeout_s: float) -> None:
        import psycopg

        self._psycopg = psycopg
        self._dsn, named = server.dsn, _named(server)
        ours = _settings(busy_timeout_s)
        # libpq takes whole seconds, and two at least.
        options: dict[str, Any] = {"connect_timeout": max(2, int(busy_timeout_s))}
        options["application_name"] = ours.pop("application_name")
        options["options"] = " ".join(f"-c {name}={value}" for name, value in ours.items())
        self._options = {name: value for name, value in options.items() if name not in named}
        # By position, as with the other drivers.
        self.dialect: Dialect = psycopg_dialect.dialect_async(paramstyle="format")  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects are not annotated
        self._dbapi: Any = psycopg_dialect.dialect_async.import_dbapi()  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects are not annotated

    async def connect(self, *, reading: bool) -> Any:
        """Connect; a connection for reading commits each statement by itself."""
        return await self._psycopg.AsyncConnection.connect(
            self._dsn, autocommit=reading, **self._options
        )

    async def writing(self) -> Writing:
        """Connect for transactions."""
        connection = await self.connect(reading=False)
        return await greenlet_spawn(self._dbapi.connect, async_creator_fn=_given, of=connection)

    async def fetch(self, connection: Any, sql: str, values: Sequence[Any]) -> list[Row]:
        """Run one statement and return its rows."""
        cursor = await connection.execute(sql, values)
        rows: list[Row] = await cursor.fetchall()
        return rows

    def is_open(self, connection: Any) -> bool:
        """Tell whether a connection can still be used."""
        return not connection.closed

    async def close(self, connection: Any) -> None:
        """Close a connection."""
        with suppress(OSError, self._psycopg.Error):
            async with asyncio.timeout(1):
                await connection.close()


async def _given(*, of: Any) -> Any:
    """Hand over a connection that was made already."""
    return of
