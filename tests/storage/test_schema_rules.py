"""The rules that keep other engines open, held over the declared tables."""

from __future__ import annotations

import importlib
import pkgutil
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
    bindparam,
    delete,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.schema import CreateIndex, CreateTable

from convostore import storage
from convostore.storage.statements import Hot
from convostore.storage.tables import OWNERLESS, conversation, journal, message, metadata
from tests.owner_rule import unowned

if TYPE_CHECKING:
    from sqlalchemy import Table

    from convostore.storage.sqlite import SqliteDatabase

TABLES = list(metadata.tables.values())
OWNED = [table for table in TABLES if table.name not in OWNERLESS]
TYPES = {Text, Integer, BigInteger, LargeBinary}
ABOVE = {  # a row hangs on one row of the table above it, and on nothing else
    "message": "conversation",
    "tag": "conversation",
    "source_record": "conversation",
    "checkpoint": "conversation",
    "checkpoint_write": "conversation",
    "checkpoint_item": "conversation",
    "journal": "message",
    "remote_thread": "message",
    "summary": "message",
    "attachment_chunk": "attachment",
    "message_attachment": "message",
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
    assert conditional == 15


def _statements() -> list[tuple[str, Any]]:
    """Return every statement of the repository layer by its name."""
    found = []
    for module in pkgutil.iter_modules(storage.__path__):
        loaded = importlib.import_module(f"convostore.storage.{module.name}")
        found += [
            (f"{module.name}.{name}", value._statement)
            for name, value in vars(loaded).items()
            if isinstance(value, Hot)
        ]
    return found


def test_every_statement_names_its_owner() -> None:
    """No statement of the repository layer reaches a row without saying whose it is."""
    statements = _statements()
    assert len(statements) > 40
    assert {name: tables for name, one in statements if (tables := unowned(one))} == {}


@pytest.mark.parametrize(
    "statement",
    [
        select(message.c.text).where(message.c.id == bindparam("id")),
        select(message.c.text).where(message.c.owner_id == message.c.owner_id),
        select(message.c.text)
        .select_from(message.join(conversation, conversation.c.id == message.c.conversation_id))
        .where(message.c.owner_id == bindparam("owner_id")),
        update(message).where(message.c.id == bindparam("of_id")).values(text="x"),
        delete(journal),
    ],
    ids=["by id", "by itself", "joined", "update", "delete"],
)
def test_statement_without_its_owner_is_noticed(statement: Any) -> None:
    """The rule itself is tried: each way to forget the owner is found."""
    assert unowned(statement)


@pytest.mark.only("sqlite", reason="the rule stands before the engine")
def test_query_without_its_owner_is_refused_while_tests_run(database: SqliteDatabase) -> None:
    """Not only what stands in the modules: whatever a test makes the package run is held to it."""
    with pytest.raises(AssertionError, match="owner"):
        Hot(select(message.c.text)).on(database._dialect)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_text_is_compared_byte_by_byte_on_a_server(table: Table) -> None:
    """What is ordered, cut into ranges or put in a cursor is the same on both engines."""
    dialect = asyncpg.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's dialects are not annotated
    for column in table.columns:
        if isinstance(column.type, Text):
            assert getattr(column.type.dialect_impl(dialect), "collation", "") == "C", column


def test_made_for_a_server_the_tables_have_no_triggers_sequences_or_functions() -> None:
    """The DDL for PostgreSQL, and for what speaks its language, is plain tables and indexes."""
    dialect = asyncpg.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's dialects are not annotated
    for table in TABLES:
        ddl = [str(CreateTable(table).compile(dialect=dialect))]
        ddl += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
        words = " ".join(ddl).upper()
        for word in ("SERIAL", "IDENTITY", "SEQUENCE", "TRIGGER", "DEFAULT", "GENERATED"):
            assert word not in words, (table.name, word)
