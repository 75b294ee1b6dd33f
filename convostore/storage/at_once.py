"""One statement for many rows on PostgreSQL, derived from the statement for one: `unnest`.

What SQLite runs once for each row costs PostgreSQL a round trip each; as arrays the values of all
rows go there in one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, bindparam, column, func, select
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.sql.sqltypes import NullType
from sqlalchemy.sql.visitors import iterate, replacement_traverse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import FromClause
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

    from convostore.storage.portable import Row

Named = dict[str, Any]


class AtOnce:
    """An INSERT, UPDATE or DELETE of one row, turned into one of many.

    Attributes:
        sql: its text.
        names: of the values, in the order of the text's placeholders.
        fixed: the values that the statement itself gives, by name.
        key: the values that name the row; empty where each set of values is a row of its own.
    """

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        single = statement.compile(dialect=dialect)
        types = _types(statement)
        self._given = [
            name for name in dict.fromkeys(single.positiontup or ()) if single.params[name] is None
        ]
        given = _table(self._given, types)
        if statement.is_insert:
            many = statement.from_select(
                self._given, select(*(given.c[name] for name in self._given))
            )
            self.key = _conflict_key(statement)
        else:
            many = replacement_traverse(statement, {}, partial(_column, given))
            self.key = [
                one.key
                for one in iterate(statement.whereclause)
                if isinstance(one, BindParameter) and one.key in types
            ]
        compiled = many.compile(dialect=dialect)
        self.sql = str(compiled)
        self.names = tuple(compiled.positiontup or ())
        self.fixed = compiled.params

    def values(self, rows: list[Named]) -> Row:
        """Return the statement's parameters for *rows*: an array for each given value."""
        return tuple(
            [row[name] for row in rows] if name in self._given else self.fixed[name]
            for name in self.names
        )


def rounds(rows: Iterable[Named], key: list[str]) -> Iterator[list[Named]]:
    """Split *rows*, in order, into lists in which no key comes twice.

    One statement changes a row once: what changes it again has to be the next statement.
    """
    part: list[Named] = []
    seen: set[Row] = set()
    for row in rows:
        if key:
            name = tuple([row[one] for one in key])
            if name in seen:
                yield part
                part, seen = [], set()
            seen.add(name)
        part.append(row)
    if part:
        yield part


def _types(statement: Any) -> dict[str, TypeEngine[Any]]:
    """Return the type of each value; one inside a function has that of the column it goes to."""
    if statement.is_insert:
        return {one.name: one.type for one in statement.table.c}
    types: dict[str, TypeEngine[Any]] = {}
    for target, value in (getattr(statement, "_values", None) or {}).items():
        for one in iterate(value):
            if isinstance(one, BindParameter):
                column_ = statement.table.c[getattr(target, "name", target)]
                types[one.key] = column_.type if isinstance(one.type, NullType) else one.type
    for one in iterate(statement.whereclause):
        if isinstance(one, BindParameter):
            types[one.key] = one.type
    return types


def _table(names: list[str], types: dict[str, TypeEngine[Any]]) -> FromClause:
    """Return the given values as a table."""
    arrays = [bindparam(name, type_=ARRAY(type(types[name])())) for name in names]
    columns = [column(name, types[name]) for name in names]
    return func.unnest(*arrays).table_valued(*columns).render_derived()


def _column(given: FromClause, one: Any, **_: Any) -> Any:
    if isinstance(one, BindParameter) and one.key in given.c:
        return given.c[one.key]
    return None


def _conflict_key(statement: Any) -> list[str]:
    """Return the columns of an upsert's key; none where a second row would change nothing."""
    conflict = statement._post_values_clause  # noqa: SLF001 - there is no public way to ON CONFLICT
    if conflict is None or not hasattr(conflict, "update_values_to_set"):
        return []
    return [str(getattr(one, "name", one)) for one in conflict.inferred_target_elements]
