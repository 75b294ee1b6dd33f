"""Getting removed text out of the files of a database's tables and indexes.

Each table is written anew with its indexes, and so is the planner's own table of samples, which
holds titles and short texts. What an older transaction may still see would be written along, so
those have to end first, the prepared ones too. The old files go with the next checkpoint. What the
server keeps elsewhere, its write-ahead log, archives and replicas, is its operator's, and so is
what a replication slot keeps for its reader; those are named.
Source: PostgreSQL, "VACUUM", FULL; "pg_locks", virtualxid; "PREPARE TRANSACTION";
"pg_replication_slots", xmin; "pg_statistic"; "CHECKPOINT".
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text, column, false, func, literal, or_, select, table

from convostore import clock
from convostore.errors import StoreBusyError
from convostore.storage.drivers import driver_of
from convostore.storage.postgres_faults import is_drivers, state_of, translate
from convostore.storage.scrub_note import OWED
from convostore.storage.search_tables import on_postgresql
from convostore.storage.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy import Select, Table

    from convostore.storage.address import Server
    from convostore.storage.drivers import Driver

_LOOK_S: Final = 0.05  # how often it is looked whether the older transactions have ended
_NOT_ALLOWED: Final = "42501"
_CLEARS_SAMPLES: Final = 180_000  # the version that has pg_clear_attribute_stats
_TABLES: Final = (*metadata.tables.values(), *on_postgresql.tables.values())
_samples = table("pg_statistic", schema="pg_catalog")
_base = table("pg_database", column("datname"), column("datdba"), schema="pg_catalog")
_role = table("pg_roles", column("rolname"), column("rolsuper"), schema="pg_catalog")
_locks = table(
    "pg_locks",
    *map(column, ("pid", "locktype", "virtualtransaction", "granted")),
    schema="pg_catalog",
)
_prepared = table("pg_prepared_xacts", column("gid"), column("database"), schema="pg_catalog")
_slots = table(
    "pg_replication_slots",
    *map(column, ("slot_name", "database", "xmin", "catalog_xmin")),
    schema="pg_catalog",
)
_sessions = table(
    "pg_stat_activity", *map(column, ("pid", "datname", "usesysid")), schema="pg_catalog"
)
# Each transaction holds a lock on its own name. A cleaner of the server's own has no user, and does
# not keep what it sees.
_RUNNING: Final = (
    select(_locks.c.virtualtransaction)
    .join_from(_locks, _sessions, _sessions.c.pid == _locks.c.pid)
    .where(
        _locks.c.locktype == literal("virtualxid", Text()),
        _locks.c.granted,
        _locks.c.pid != func.pg_backend_pid(),
        _sessions.c.datname == func.current_database(),
        _sessions.c.usesysid.is_not(None),
    )
)
_PREPARED: Final = select(_prepared.c.gid).where(_prepared.c.database == func.current_database())
_HELD_BACK: Final = (
    select(_slots.c.slot_name)
    .where(
        or_(_slots.c.xmin.is_not(None), _slots.c.catalog_xmin.is_not(None)),
        func.coalesce(_slots.c.database, func.current_database()) == func.current_database(),
    )
    .order_by(_slots.c.slot_name)
)
_MAY_REWRITE_SAMPLES: Final = select(
    or_(
        func.pg_has_role(
            select(_base.c.datdba)
            .where(_base.c.datname == func.current_database())
            .scalar_subquery(),
            literal("USAGE", Text()),
        ),
        select(_role.c.rolsuper).where(_role.c.rolname == func.current_user()).scalar_subquery(),
    ),
    func.current_setting("server_version_num"),
)


async def owed(server: Server, *, busy_timeout_s: float) -> str | None:
    """Return the note that scrubbing is owed, if there is one.

    Raises:
        StoreError: the server cannot be reached.
    """
    found: str | None = await _run(server, _owed, busy_timeout_s)
    return found


async def rewrite(server: Server, *, busy_timeout_s: float) -> tuple[str, ...]:
    """Write every table of the store anew, with its indexes; return what is left to the operator.

    While a table is written, nobody reads or writes it. It needs room for the greatest one again.

    Raises:
        StoreBusyError: others held a table all the time, or a transaction of before did not end;
            scrub again.
        StoreError: whatever else the server says.
    """
    try:
        await _run(server, partial(_outlast, patience_s=busy_timeout_s), busy_timeout_s)
        remarks: tuple[str, ...] = await _run(server, _rewrite, busy_timeout_s)
    except StoreBusyError as error:
        named = isinstance(error, _PreparedError)
        why = error.message if named else "others held a table, or a transaction, all the time"
        raise StoreBusyError(
            f"what was removed is out of reach, but traces of it may still be in the files of {server}:"
            f" {why}",
            hint=error.hint if named else "try again when fewer use it: convostore db scrub",
        ) from error
    return remarks


async def _run(server: Server, work: Any, busy_timeout_s: float) -> Any:
    driver = driver_of(server, busy_timeout_s=busy_timeout_s)
    try:
        connection = await driver.connect(reading=True)
        try:
            return await work(driver, connection)
        finally:
            await driver.close(connection)
    except Exception as error:
        if not is_drivers(error):
            raise
        raise translate(error, server) from error


async def _owed(driver: Driver, connection: Any) -> str | None:
    sql, pick = OWED.on(driver.dialect)
    rows = await driver.fetch(connection, sql, pick({}))
    return str(rows[0][0]) if rows else None


class _PreparedError(StoreBusyError):
    """A prepared transaction stands in the way; nobody but its operator can end it."""


async def _outlast(driver: Driver, connection: Any, *, patience_s: float) -> None:
    """Wait until every transaction that runs now has ended, or is prepared and waits for its word.

    Raises:
        StoreBusyError: one has not within *patience_s* seconds.
    """
    deadline_s = clock.monotonic_s() + patience_s
    running = await _names(driver, connection, _RUNNING)
    prepared = await _names(driver, connection, _PREPARED)
    while running or prepared:
        if clock.monotonic_s() > deadline_s:
            raise _still_there(prepared)
        await clock.sleep(_LOOK_S)
        running &= await _names(driver, connection, _RUNNING)
        prepared &= await _names(driver, connection, _PREPARED)


def _still_there(prepared: set[str]) -> StoreBusyError:
    if not prepared:
        return StoreBusyError("a transaction that began before is still running")
    return _PreparedError(
        f"the prepared transaction {min(prepared)!r} has not ended",
        hint="end it with COMMIT PREPARED or ROLLBACK PREPARED, then: convostore db scrub",
    )


async def _names(driver: Driver, connection: Any, wanted: Select[Any]) -> set[str]:
    compiled = wanted.compile(dialect=driver.dialect, compile_kwargs={"literal_binds": True})
    return {str(name) for (name,) in await driver.fetch(connection, str(compiled), ())}


async def _rewrite(driver: Driver, connection: Any) -> tuple[str, ...]:
    compiled = _MAY_REWRITE_SAMPLES.compile(
        dialect=driver.dialect, compile_kwargs={"literal_binds": True}
    )
    may_rewrite, version = (await driver.fetch(connection, str(compiled), ()))[0]
    names = driver.dialect.identifier_preparer
    for one in _TABLES:
        if int(version) >= _CLEARS_SAMPLES:  # ANALYZE keeps those of a table that is empty now
            await _clear_samples(driver, connection, one)
        name = names.format_table(one)
        await connection.execute(f"VACUUM (FULL, ANALYZE) {name}")  # Core has no VACUUM
    remarks = []
    if may_rewrite:
        name = names.format_table(_samples)
        await connection.execute(f"VACUUM (FULL) {name}")  # Core has no VACUUM
    else:
        remarks.append(
            "only the database's owner can write the planner's samples anew: VACUUM FULL pg_statistic"
        )
    try:
        await connection.execute("CHECKPOINT")
    except Exception as error:
        if state_of(error) != _NOT_ALLOWED:
            raise
        remarks.append("the old files go with the server's next checkpoint, within minutes")
    if slots := sorted(await _names(driver, connection, _HELD_BACK)):
        remarks.append(
            "replication slots may keep old rows until their readers have caught up, and the tables"
            f" are written anew once more: {', '.join(slots)}"
        )
    return tuple(remarks)


async def _clear_samples(driver: Driver, connection: Any, one: Table) -> None:
    for each in one.columns:
        named = (literal(one.name, Text()), literal(each.name, Text()))
        clear = select(
            func.pg_clear_attribute_stats(func.current_schema(), *named, false(), type_=Text())
        )
        compiled = clear.compile(dialect=driver.dialect, compile_kwargs={"literal_binds": True})
        await driver.fetch(connection, str(compiled), ())
