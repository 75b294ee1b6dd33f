"""asyncpg's connection in the shape that transactions use: a cursor, a commit, a rollback.

SQLAlchemy has such an adapter for all that its own engines need; here each statement costs the
wait for its answer and next to nothing beside it.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy.util import await_only

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class AsyncpgWriting:
    """A connection to be used inside of `greenlet_spawn`; its first statement begins a transaction.

    Attributes:
        driver_connection: asyncpg's own.
    """

    __slots__ = ("_statements", "_transaction", "driver_connection")

    def __init__(self, connection: Any) -> None:
        self.driver_connection = connection
        self._statements: dict[str, Any] = {}  # by their text: as many as the package has
        self._transaction: Any = None

    def cursor(self) -> AsyncpgCursor:
        """Return a new cursor."""
        return AsyncpgCursor(self)

    def commit(self) -> None:
        """Commit what was done since the last commit or rollback."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            await_only(transaction.commit())

    def rollback(self) -> None:
        """Undo what was done since the last commit or rollback."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            await_only(transaction.rollback())

    async def run(self, sql: str, values: Sequence[Any]) -> tuple[list[Any], str]:
        """Run one statement; return its rows, and what the server says of it."""
        if self._transaction is None:
            transaction = self.driver_connection.transaction()
            await transaction.start()
            self._transaction = transaction
        statement = self._statements.get(sql)
        if statement is None:
            statement = await self.driver_connection.prepare(sql)
            self._statements[sql] = statement
        try:
            return await statement.fetch(*values), statement.get_statusmsg()
        except Exception:
            # Rare; and one that the server has forgotten, as after a migration, is made anew.
            self._statements.clear()
            raise


class AsyncpgCursor:
    """Runs one statement after the other on a connection, and keeps the last one's rows."""

    __slots__ = ("_connection", "_rows", "_said")

    def __init__(self, connection: AsyncpgWriting) -> None:
        self._connection = connection
        self._rows: Iterator[Any] = iter(())
        self._said = ""

    @property
    def rowcount(self) -> int:
        """How many rows the last statement changed or returned; 0 where it has no rows."""
        number = self._said.rpartition(" ")[2]  # as in `UPDATE 3` and `INSERT 0 3`
        return int(number) if number.isdigit() else 0

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> None:
        """Run one statement."""
        rows, self._said = await_only(self._connection.run(sql, parameters))
        self._rows = iter(rows)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> None:
        """Run one statement once for each row of values."""
        for values in parameters:
            self.execute(sql, values)

    def fetchall(self) -> list[Any]:
        """Fetch what is left of the last statement's rows."""
        return list(self._rows)

    def fetchmany(self, size: int, /) -> list[Any]:
        """Fetch some more of the last statement's rows."""
        return list(islice(self._rows, size))
