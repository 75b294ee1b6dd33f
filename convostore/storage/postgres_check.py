"""Looking for damage in a database of a server: what the records promise, and every hash.

Reads only. Broken pages are for the server's own tools: data checksums, and amcheck.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select
from sqlalchemy.util import greenlet_spawn

from convostore.storage.access import BUSY_TIMEOUT_S
from convostore.storage.drivers import driver_of
from convostore.storage.postgres_faults import is_drivers, translate
from convostore.storage.soundness import CheckReport, Findings, look_at_records
from convostore.storage.statements import Hot, Tx
from convostore.storage.tables import REVISION

if TYPE_CHECKING:
    from convostore.storage.address import Server
    from convostore.storage.drivers import Driver, Writing

_SETTINGS: Final = Hot(
    select(func.current_setting("server_version"), func.current_setting("data_checksums"))
)
_ONE_STATE: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"


async def check(
    server: Server, *, deep: bool, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> CheckReport:
    """Look for damage in a store of this program's schema; others may go on writing.

    Raises:
        StoreOpenError: it cannot be reached.
        StoreError: whatever else the server says.
    """
    driver = driver_of(server, busy_timeout_s=busy_timeout_s)
    try:
        connection = await driver.writing()
        try:
            return await greenlet_spawn(_check, driver, connection, deep)
        finally:
            await driver.close(connection.driver_connection)
    except Exception as error:
        if not is_drivers(error):
            raise
        raise translate(error, server) from error


def _check(driver: Driver, connection: Writing, deep: bool) -> CheckReport:
    tx = Tx(connection.cursor(), driver.dialect)
    findings = Findings(deep=deep)
    version, checksums = tx.rows(_SETTINGS)[0]

    def begin() -> None:
        connection.rollback()  # the list of conversations was read in a transaction of its own
        tx.cursor.execute(_ONE_STATE)

    look_at_records(tx, findings, begin=begin, end=connection.rollback)
    remarks = ("the server keeps no data checksums",) if checksums != "on" else ()
    return findings.report(
        remarks=remarks,
        revision=REVISION,
        engine=f"PostgreSQL {version}",
        journal_mode="",
    )
