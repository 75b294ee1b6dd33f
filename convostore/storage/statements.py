"""How statements run: Core makes the text once per dialect, the driver's cursor runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.dialects.sqlite import insert

from convostore.storage.at_once import AtOnce, rounds
from convostore.storage.portable import Row, for_both, greatest, json_rows, one_of, pair_of, picker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import ClauseElement, Table
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler

__all__ = ["Hot", "Row", "Tx", "greatest", "json_rows", "one_of", "pair_of", "upsert"]

upsert = insert  # its ON CONFLICT is made to fit PostgreSQL too (`portable.for_both`)
_ROWS_AT_ONCE = 256  # of a result that is read piece by piece


class Cursor(Protocol):
    """What a transaction needs of the driver's cursor."""

    @property
    def rowcount(self) -> int:
        """How many rows the last statement changed."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Any:
        """Run one statement once for each row of values."""
        ...

    def fetchall(self) -> list[Any]:
        """Fetch what is left of the last statement's rows."""
        ...

    def fetchmany(self, size: int, /) -> list[Any]:
        """Fetch some more of the last statement's rows."""
        ...


class Hot:
    """A Core statement that is compiled once per dialect, its values picked by position."""

    __slots__ = ("_at_once", "_compiled", "_statement")

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, Callable[[dict[str, Any]], Row]]] = {}
        self._at_once: dict[str, AtOnce] = {}

    def compiled(self, dialect: Dialect) -> SQLCompiler:
        """Compile the statement in *dialect*, lists and limits written out."""
        return for_both(self._statement).compile(  # type: ignore[return-value]  # always SQLCompiler for DML and SELECT
            dialect=dialect, compile_kwargs={"render_postcompile": True}
        )

    def on(self, dialect: Dialect) -> tuple[str, Callable[[dict[str, Any]], Row]]:
        """Return the statement's text in *dialect*, and what orders the named values for it."""
        found = self._compiled.get(dialect.paramstyle)  # each driver has its own
        if found is None:
            compiled = self.compiled(dialect)
            found = (str(compiled), picker(compiled))
            self._compiled[dialect.paramstyle] = found
        return found

    def at_once(self, dialect: Dialect) -> AtOnce:
        """Return the statement as PostgreSQL runs it for many sets of values in one go."""
        found = self._at_once.get(dialect.paramstyle)
        if found is None:
            found = self._at_once[dialect.paramstyle] = AtOnce(for_both(self._statement), dialect)
        return found


class Tx:
    """A transaction in progress, which can read and write but neither begin nor commit.

    Attributes:
        again: an earlier try of the same jobs may have been committed, its answer lost: what
            they would store may be there already, under the ids that they carry.
        marked: it has left something for the search index to do.
    """

    __slots__ = ("again", "cursor", "dialect", "marked")

    def __init__(self, cursor: Cursor, dialect: Dialect, *, again: bool = False) -> None:
        self.cursor = cursor
        self.dialect = dialect
        self.again = again
        self.marked = False

    def rows(self, hot: Hot, **values: Any) -> list[Row]:
        """Run a statement and return its rows."""
        sql, pick = hot.on(self.dialect)
        self.cursor.execute(sql, pick(values))
        return self.cursor.fetchall()

    def each(self, hot: Hot, **values: Any) -> Iterator[Row]:
        """Run a statement and yield its rows, a few at a time; nothing else may run meanwhile."""
        sql, pick = hot.on(self.dialect)
        self.cursor.execute(sql, pick(values))
        while rows := self.cursor.fetchmany(_ROWS_AT_ONCE):
            yield from rows

    def run(self, hot: Hot, **values: Any) -> int:
        """Run a statement and return how many rows it changed."""
        sql, pick = hot.on(self.dialect)
        self.cursor.execute(sql, pick(values))
        return self.cursor.rowcount

    def add(self, hot: Hot, table: Table, rows: Sequence[Row]) -> None:
        """Insert rows of values that stand in the order of the columns of *table*.

        As `many` does, without a dictionary for each of them: for the tens of thousands.
        """
        names = [column.name for column in table.c]
        if self.dialect.name == "postgresql":
            self.many(hot, [dict(zip(names, row, strict=True)) for row in rows])
        elif rows:
            sql, pick = hot.on(self.dialect)
            assert pick({name: name for name in names}) == tuple(names)  # noqa: S101 - Core's order
            self.cursor.executemany(sql, rows)

    def many(self, hot: Hot, rows: Iterable[dict[str, Any]]) -> None:
        """Run a statement once for each set of named values, in order."""
        if self.dialect.name == "postgresql":
            statement = hot.at_once(self.dialect)
            for part in rounds(rows, statement.key):
                self.cursor.execute(statement.sql, statement.values(part))
            return
        sql, pick = hot.on(self.dialect)
        values = [pick(row) for row in rows]
        if values:
            self.cursor.executemany(sql, values)
