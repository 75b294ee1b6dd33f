"""What each engine writes in its own way, under one name: lists, JSON rows, the greater of two."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import ARRAY, Integer, Text, bindparam, cast, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType

from convostore import clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ClauseElement, ColumnElement
    from sqlalchemy.sql.compiler import SQLCompiler

Row = tuple[Any, ...]
SEEN_AT: Final = "seen_at_ms"  # a value that each statement is given as it runs: the time by now
_texts = msgspec.json.Decoder(list[str])


def picker(compiled: SQLCompiler) -> Callable[[dict[str, Any]], Row]:
    """Return what puts named values in the order of the compiled statement's parameters."""
    names = tuple(compiled.positiontup or ())
    fixed = {name: value for name, value in compiled.params.items() if value is not None}
    lists = [name for name in names if isinstance(compiled.binds[name].type, _JsonTexts)]

    if len(names) > 1 and not fixed and not lists and SEEN_AT not in names:
        return itemgetter(*names)  # the fast way, and a tuple only for two names and more

    def pick(values: dict[str, Any]) -> Row:
        return tuple([values[name] if name in values else fixed[name] for name in names])

    def pick_now(values: dict[str, Any]) -> Row:
        return pick({SEEN_AT: clock.now_ms(), **values})

    def pick_lists(values: dict[str, Any]) -> Row:
        return then(values | {name: _texts.decode(values[name]) for name in lists})

    then = pick_now if SEEN_AT in names else pick
    return pick_lists if lists else then


def for_both(statement: ClauseElement) -> ClauseElement:
    """Return a statement whose ON CONFLICT, made for SQLite, PostgreSQL's compiler can read too.

    The two differ in one attribute, for a kind of target that SQLite does not have; importing
    PostgreSQL's own would cost every start of the program, whatever its engine.
    """
    conflict = getattr(statement, "_post_values_clause", None)
    if conflict is not None and not hasattr(conflict, "constraint_target"):
        conflict.constraint_target = None
    return statement


class _JsonTexts(ARRAY[str]):
    """An array that is given as a JSON array of texts, as SQLite takes it."""

    cache_ok = True


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


@compiles(_OneOf, "postgresql")
def _one_of_postgresql(element: _OneOf, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, items = element.clauses
    array = bindparam(items.key, type_=_JsonTexts(Text()))
    return f"{compiler.process(column, **kwargs)} = ANY ({compiler.process(array, **kwargs)})"


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


@compiles(_PairOf, "postgresql")
def _pair_of_postgresql(element: _PairOf, compiler: SQLCompiler, **kwargs: Any) -> str:
    first, second, items = (compiler.process(clause, **kwargs) for clause in element.clauses)
    given = f"json_array_elements(CAST({items} AS JSON)) AS given(value)"
    pairs = f"SELECT value ->> 0, CAST(value ->> 1 AS INTEGER) FROM {given}"  # noqa: S608 - compiled
    return f"({first}, {second}) IN ({pairs})"


def pair_of(
    first: ColumnElement[Any], second: ColumnElement[Any], name: str
) -> ColumnElement[bool]:
    """Compare two columns with any of a list of [text, integer] pairs, a JSON array *name*."""
    return _PairOf(first, second, bindparam(name, type_=Text))


class _Items(FunctionElement[Any]):
    """The items of a JSON array as the rows of a table."""

    inherit_cache = True


@compiles(_Items, "sqlite")
def _items_sqlite(element: _Items, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kwargs)})"


@compiles(_Items, "postgresql")
def _items_postgresql(element: _Items, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"json_array_elements(CAST({compiler.process(element.clauses, **kwargs)} AS JSON))"


class Numbers:
    """Integers to join with, given at run time as a JSON array; as `Pairs`.

    Attributes:
        table: to select from.
        number: the integer.
    """

    def __init__(self, name: str) -> None:
        self.table = _Items(bindparam(name, type_=Text)).table_valued("value", name="given")
        self.number = cast(self.table.c.value, Integer)


class Pairs:
    """Rows of [text, integer] to join with, given at run time as a JSON array.

    What is joined with them is joined by an outer join, and rows without a match are left out by
    the reader: else SQLite goes through all of an owner's rows, and looks each of them up here.

    Attributes:
        table: to select from.
        first: the text.
        second: the integer.
    """

    def __init__(self, name: str) -> None:
        self.table = _Items(bindparam(name, type_=Text)).table_valued("value", name="given")
        value = self.table.c.value
        # With casts, for values without affinity keep an index from being used.
        self.first = cast(value.op("->>")(literal_column("0")), Text)
        self.second = cast(value.op("->>")(literal_column("1")), Integer)


class _JsonRows(FunctionElement[str]):
    """The rows of a correlated table as one JSON array of arrays, in no particular order."""

    inherit_cache = True
    type = Text()


@compiles(_JsonRows, "sqlite")
def _json_rows_sqlite(element: _JsonRows, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **kwargs)}))"


@compiles(_JsonRows, "postgresql")
def _json_rows_postgresql(element: _JsonRows, compiler: SQLCompiler, **kwargs: Any) -> str:
    items = compiler.process(element.clauses, **kwargs)
    return f"CAST(json_agg(json_build_array({items})) AS TEXT)"


def json_rows(*columns: ColumnElement[Any]) -> ColumnElement[str]:
    """Gather *columns* of all rows of a subquery into one JSON text; NULL or `[]` without rows."""
    return _JsonRows(*columns)


class _Greatest(FunctionElement[int]):
    """The greatest of several values."""

    inherit_cache = True


@compiles(_Greatest, "sqlite")
def _greatest_sqlite(element: _Greatest, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"max({compiler.process(element.clauses, **kwargs)})"


@compiles(_Greatest, "postgresql")
def _greatest_postgresql(element: _Greatest, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **kwargs)})"


def greatest(first: ColumnElement[int], *others: ColumnElement[int]) -> ColumnElement[int]:
    """Return the greatest of values that are never NULL."""
    found = _Greatest(first, *others)
    found.type = first.type
    return found


class _Octets(FunctionElement[int]):
    """How many bytes a text has in UTF-8."""

    inherit_cache = True
    type = Integer()


@compiles(_Octets, "sqlite")
def _octets_sqlite(element: _Octets, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **kwargs)} AS BLOB))"


@compiles(_Octets, "postgresql")
def _octets_postgresql(element: _Octets, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **kwargs)})"


def octets(column: ColumnElement[str]) -> ColumnElement[int]:
    """Return how many bytes a text has in UTF-8; as many as characters, if it is ASCII."""
    return _Octets(column)
