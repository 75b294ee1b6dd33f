"""The rules that keep other engines open, held over the declared tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)

from convostore.storage.tables import OWNERLESS, metadata

if TYPE_CHECKING:
    from sqlalchemy import Table

TABLES = list(metadata.tables.values())
OWNED = [table for table in TABLES if table.name not in OWNERLESS]
TYPES = {Text, Integer, BigInteger, LargeBinary}
ABOVE = {  # a row hangs on one row of the table above it, and on nothing else
    "message": "conversation",
    "journal": "message",
    "remote_thread": "message",
}


def _keys(table: Table) -> list[tuple[str, list[str]]]:
    """Return the name and the columns of every key, constraint and index."""
    keyed: tuple[type[Any], ...] = (PrimaryKeyConstraint, UniqueConstraint, ForeignKeyConstraint)
    found = [
        (f"{type(constraint).__name__} {constraint.name}", list(constraint.columns.keys()))
        for constraint in table.constraints
        if isinstance(constraint, keyed)
    ]
    return found + [(str(index.name), list(index.columns.keys())) for index in table.indexes]


def test_owner_stands_first_in_every_key_and_index() -> None:
    """Each key, unique constraint, foreign key and index begins with the owner."""
    found = [
        f"{table.name}: {name}"
        for table in OWNED
        for name, columns in _keys(table)
        if columns[0] != "owner_id"
    ]
    assert found == []
    assert sum(len(_keys(table)) for table in OWNED) >= 15


def test_tables_without_an_owner_are_the_named_ones() -> None:
    """Only the owners themselves and the facts about the store belong to nobody."""
    ownerless = {table.name for table in TABLES if "owner_id" not in table.columns}
    assert ownerless == OWNERLESS == {"owner", "store_meta"}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_has_a_primary_key_that_is_never_null(table: Table) -> None:
    """No table is keyed by SQLite's row number, and SQLite would let a key be NULL."""
    assert len(table.primary_key.columns) > 0
    assert [column.name for column in table.primary_key if column.nullable] == []


def test_columns_have_only_the_four_types() -> None:
    """Text, Integer, BigInteger and LargeBinary mean the same on every engine."""
    found = [
        f"{column.table.name}.{column.name}: {column.type!r}"
        for table in TABLES
        for column in table.columns
        if type(column.type) not in TYPES
    ]
    assert found == []


def test_nothing_is_made_up_by_the_database() -> None:
    """No sequences, no identity, no defaults and computed columns: values come from the program."""
    for table in TABLES:
        assert table.dialect_options["sqlite"].get("autoincrement") in {None, False}
        for column in table.columns:
            made = (column.default, column.server_default, column.onupdate, column.server_onupdate)
            assert made == (None, None, None, None), column
            assert (column.identity, column.computed) == (None, None), column
        # A lone integer key would be a row number that SQLite hands out.
        assert [column.type.python_type for column in table.primary_key] != [int]


def test_foreign_keys_point_only_to_the_table_above() -> None:
    """A row hangs on the row above it and no other; what else it names is checked in code."""
    above = {
        table.name: [key.referred_table.name for key in table.foreign_key_constraints]
        for table in TABLES
    }
    assert above == {name: [ABOVE[name]] if name in ABOVE else [] for name in above}


def test_foreign_keys_take_no_action_by_themselves() -> None:
    """Nothing is removed or changed behind the program's back."""
    for table in TABLES:
        for key in table.foreign_key_constraints:
            assert (key.ondelete, key.onupdate) == (None, None)


def test_times_are_whole_milliseconds() -> None:
    """Every time has its unit in its name and room for it in its type."""
    for table in TABLES:
        for column in table.columns:
            if column.name.endswith("_at") or "time" in column.name:
                pytest.fail(f"{table.name}.{column.name} does not say its unit")
            if column.name.endswith("_ms"):
                assert isinstance(column.type, BigInteger), column


def test_conditions_of_indexes_hold_on_both_engines() -> None:
    """An index over some rows is one over the same rows everywhere."""
    conditional = 0
    for table in TABLES:
        for index in table.indexes:
            sqlite = index.dialect_options["sqlite"]["where"]
            postgresql = index.dialect_options["postgresql"]["where"]
            assert str(sqlite) == str(postgresql), index.name
            conditional += sqlite is not None
    assert conditional == 5
