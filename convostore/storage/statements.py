"""How statements run: Core makes the text once per dialect, the driver's cursor runs it."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import ClauseElement, ColumnElement
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler

Row = tuple[Any, ...]


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


class Hot:
    """A Core statement that is compiled once per dialect, its values picked by position."""

    __slots__ = ("_compiled", "_statement")

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, Callable[[dict[str, Any]], Row]]] = {}

    def compiled(self, dialect: Dialect) -> SQLCompiler:
        """Compile the statement in *dialect*, lists and limits written out."""
        return self._statement.compile(  # type: ignore[return-value]  # always SQLCompiler for DML and SELECT
            dialect=dialect, compile_kwargs={"render_postcompile": True}
        )

    def on(self, dialect: Dialect) -> tuple[str, Callable[[dict[str, Any]], Row]]:
        """Return the statement's text in *dialect*, and what orders the named values for it."""
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled = self.compiled(dialect)
            found = (str(compiled), _picker(compiled))
            self._compiled[dialect.name] = found
        return found


def _picker(compiled: SQLCompiler) -> Callable[[dict[str, Any]], Row]:
    names = tuple(compiled.positiontup or ())
    fixed = {name: value for name, value in compiled.params.items() if value is not None}
    if len(names) > 1 and not fixed:
        return itemgetter(*names)  # the fast way, and a tuple only for two names and more

    def pick(values: dict[str, Any]) -> Row:
        return tuple([values[name] if name in values else fixed[name] for name in names])

    return pick


class Tx:
    """A transaction in progress, which can read and write but neither begin nor commit."""

    __slots__ = ("cursor", "dialect")

    def __init__(self, cursor: Cursor, dialect: Dialect) -> None:
        self.cursor = cursor
        self.dialect = dialect

    def rows(self, hot: Hot, **values: Any) -> list[Row]:
        """Run a statement and return its rows."""
        sql, pick = hot.on(self.dialect)
        self.cursor.execute(sql, pick(values))
        return self.cursor.fetchall()

    def run(self, hot: Hot, **values: Any) -> int:
        """Run a statement and return how many rows it changed."""
        sql, pick = hot.on(self.dialect)
        self.cursor.execute(sql, pick(values))
        return self.cursor.rowcount

    def many(self, hot: Hot, rows: Iterable[dict[str, Any]]) -> None:
        """Run a statement once for each set of named values."""
        sql, pick = hot.on(self.dialect)
        values = [pick(row) for row in rows]
        if values:
            self.cursor.executemany(sql, values)


class _Condition(FunctionElement[bool]):
    """A condition without a type: Core would append `= 1` to a Boolean, and no index served it."""

    inherit_cache = True
    type = NullType()  # type: ignore[assignment]  # a condition, by its place in a WHERE


class _OneOf(_Condition):
    """A column, compared with the items of a JSON array of texts."""

    inherit_cache = True


@compiles(_OneOf, "sqlite")
def _one_of_sqlite(element: _OneOf, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, items = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({items}))"  # noqa: S608 - compiled by SQLAlchemy


def one_of(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Compare *column* with any of a list, given at run time as a JSON array named *name*."""
    return _OneOf(column, bindparam(name, type_=Text))


class _PairOf(_Condition):
    """Two columns, compared with the items of a JSON array of [text, integer] pairs."""

    inherit_cache = True


@compiles(_PairOf, "sqlite")
def _pair_of_sqlite(element: _PairOf, compiler: SQLCompiler, **kwargs: Any) -> str:
    first, second, items = (compiler.process(clause, **kwargs) for clause in element.clauses)
    # Without the casts the values have no affinity, and the index serves the first column only.
    pairs = (
        f"SELECT CAST(value ->> 0 AS TEXT), CAST(value ->> 1 AS INTEGER) FROM json_each({items})"  # noqa: S608 - compiled by SQLAlchemy
    )
    return f"({first}, {second}) IN ({pairs})"


def pair_of(
    first: ColumnElement[Any], second: ColumnElement[Any], name: str
) -> ColumnElement[bool]:
    """Compare two columns with any of a list of [text, integer] pairs, a JSON array *name*."""
    return _PairOf(first, second, bindparam(name, type_=Text))


class _JsonRows(FunctionElement[str]):
    """The rows of a correlated table as one JSON array of arrays, in no particular order."""

    inherit_cache = True
    type = Text()


@compiles(_JsonRows, "sqlite")
def _json_rows_sqlite(element: _JsonRows, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **kwargs)}))"


def json_rows(*columns: ColumnElement[Any]) -> ColumnElement[str]:
    """Gather *columns* of all rows of a subquery into one JSON text."""
    return _JsonRows(*columns)
