"""The tables of the search index: their own rules, for they are not the same on both engines."""

from __future__ import annotations

import pytest
from sqlalchemy import Integer
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.schema import CreateIndex, CreateTable

from convostore.storage.search_tables import (
    FULL_TEXT,
    indexed,
    numbers,
    on_postgresql,
    on_sqlite,
    vectors,
)
from convostore.storage.tables import metadata


def test_index_is_no_part_of_the_tables_that_are_the_same_everywhere() -> None:
    """Only the marks are; the index itself is each engine's own, and one table on each."""
    assert "search_pending" in metadata.tables
    assert "message_search" not in metadata.tables
    assert list(on_sqlite.tables) == list(on_postgresql.tables) == ["message_search"]


def test_full_text_table_keeps_no_second_copy_of_the_text() -> None:
    """The words are made by the program: SQLite's tokenizer only takes them apart at spaces."""
    assert "content=''" in FULL_TEXT
    assert "tokenize='ascii'" in FULL_TEXT


def test_only_the_number_of_a_row_stands_before_its_owner() -> None:
    """All that a full-text table knows of a row is a number: the one exception to the rule."""
    assert [column.name for column in numbers.primary_key] == ["docid"]
    assert isinstance(numbers.c.docid.type, Integer)
    assert [next(iter(index.columns.keys())) for index in numbers.indexes] == ["owner_id"]
    (key,) = [list(vectors.primary_key.columns.keys())]
    assert key == ["owner_id", "conversation_id", "seq"]


@pytest.mark.parametrize("table", [numbers, vectors], ids=["sqlite", "postgresql"])
def test_both_name_a_message_by_the_same_columns(table: object) -> None:
    """What both engines are asked for is written once."""
    assert set(indexed.c.keys()) <= set(table.c.keys())  # type: ignore[attr-defined] # a Table


def test_made_for_a_server_the_index_has_no_triggers_sequences_or_functions() -> None:
    """A plain table with plain indexes; one of them is by words, which only a server has."""
    dialect = asyncpg.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's dialects are not annotated
    ddl = [str(CreateTable(vectors).compile(dialect=dialect))]
    ddl += [str(CreateIndex(index).compile(dialect=dialect)) for index in vectors.indexes]
    words = " ".join(ddl).upper()
    for word in (
        "SERIAL",
        "IDENTITY",
        "SEQUENCE",
        "TRIGGER",
        "DEFAULT",
        "GENERATED",
        "TO_TSVECTOR",
    ):
        assert word not in words
    assert words.count('COLLATE "C"') == 2
    assert words.count("USING GIN") == 1
