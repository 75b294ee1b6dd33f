"""The rule that every query names its owner, held over the statements themselves."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Delete, Insert, Join, Select, Update
from sqlalchemy.sql.elements import BinaryExpression, BindParameter
from sqlalchemy.sql.operators import eq
from sqlalchemy.sql.visitors import iterate

from convostore.storage import search_index, search_renewal, search_shelf, soundness

# What is of no owner: `db check` goes through the conversations of all of them, and the writer
# through all marks of the search index; that index is emptied as a whole, and counts its rows.
EXCEPTED = frozenset(
    id(hot._statement)
    for hot in (
        soundness._NEXT,
        search_index.MARKS_OF_ALL,
        search_renewal.EMPTY_PLACES,
        search_renewal.EMPTY_MARKS,
        search_shelf.LAST_NUMBER,
    )
)


def unowned(statement: Any) -> list[str]:
    """Return the tables that a statement reads or writes without naming their owner."""
    if id(statement) in EXCEPTED:
        return []
    if isinstance(statement, Insert):
        return []  # a row cannot be without its owner: the column is never NULL
    found = [
        table
        for part in iterate(statement)
        if isinstance(part, Select | Update | Delete)
        for table in _without_owner(part)
    ]
    if not found and _tables_owned(statement) and not _names_one(statement):
        found.append("no owner is given at all")
    return found


def _without_owner(part: Select[Any] | Update | Delete) -> list[str]:
    froms: list[Any] = (
        [*part.columns_clause_froms, *part._from_obj] if isinstance(part, Select) else [part.table]
    )
    conditions: list[Any] = [] if part.whereclause is None else [part.whereclause]
    tables: list[Any] = []
    while froms:
        one = froms.pop()
        if isinstance(one, Join):
            froms += [one.left, one.right]
            conditions.append(one.onclause)
        elif "owner_id" in one.c and not isinstance(one, Select) and hasattr(one, "name"):
            tables.append(one)
    named = {id(column.table) for condition in conditions for column in _compared(condition)}
    return [str(one.name) for one in tables if id(one) not in named]


def _compared(condition: Any) -> list[Any]:
    """Return the owner columns that a condition holds equal to something."""
    return [
        side
        for one in iterate(condition)
        if isinstance(one, BinaryExpression) and one.operator is eq
        for side in (one.left, one.right)
        if getattr(side, "name", None) == "owner_id" and getattr(side, "table", None) is not None
    ]


def _tables_owned(statement: Any) -> bool:
    return any(getattr(one, "name", None) == "owner_id" for one in iterate(statement))


def _names_one(statement: Any) -> bool:
    return any(
        isinstance(one, BinaryExpression)
        and one.operator is eq
        and "owner_id" in {getattr(one.left, "name", None), getattr(one.right, "name", None)}
        and any(isinstance(side, BindParameter) for side in (one.left, one.right))
        for one in iterate(statement)
    )
