"""The history of the schema: one line of revisions that ends at the declared tables."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from schemas import schema  # type: ignore[import-not-found] # pytest puts this folder on the path
from sqlalchemy import create_engine

from convostore.storage import search_tables, tables
from convostore.storage.migrate import ensure_schema

ROOT = Path(__file__).parents[2]
REVISIONS = [
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
]  # released ones are never changed, removed or put in another order


def _history() -> ScriptDirectory:
    return ScriptDirectory.from_config(Config(ROOT / "alembic.ini"))


def test_revisions_are_exactly_those_pinned_here() -> None:
    """The history is one line without branches, and its revisions are known by name."""
    walked = [script.revision for script in _history().walk_revisions()]
    assert walked[::-1] == REVISIONS


def test_head_is_the_revision_that_opening_compares_with() -> None:
    """The number in the code is the newest revision, and there is only one newest."""
    assert _history().get_heads() == [tables.REVISION]


def test_file_names_begin_with_their_revision() -> None:
    """A folder listing shows the order of the revisions."""
    for script in _history().walk_revisions():
        assert Path(script.path).name.startswith(f"{script.revision}_")


def test_migrated_schema_is_the_declared_one(tmp_path: Path) -> None:
    """All revisions together make every table and index as declared, conditions included."""
    migrated, declared = tmp_path / "migrated.db", tmp_path / "declared.db"
    ensure_schema(migrated, create=True, migrate=False)
    engine = create_engine(f"sqlite:///{declared}")
    tables.metadata.create_all(engine)
    search_tables.on_sqlite.create_all(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(search_tables.FULL_TEXT)
    engine.dispose()
    made = schema(migrated)
    assert "convostore_version" in made.pop(tables.VERSION_TABLE)
    assert made == schema(declared)
    assert sum("WHERE" in sql for sql in made.values()) == 15


def test_new_store_has_the_page_size_and_the_log_of_the_design(tmp_path: Path) -> None:
    """Pages of 8 KiB and WAL are there from the first byte; only the owner may read the file."""
    path = tmp_path / "folder" / "chats.db"
    ensure_schema(path, create=True, migrate=False)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA page_size").fetchone() == (8_192,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_migration_makes_no_rows(tmp_path: Path) -> None:
    """A new store is empty: its owner is made with the first thing it owns."""
    path = tmp_path / "chats.db"
    ensure_schema(path, create=True, migrate=False)
    with closing(sqlite3.connect(path)) as connection:
        for table in tables.metadata.tables:
            count = f"SELECT count(*) FROM {table}"  # the names are the code's own
            assert connection.execute(count).fetchone() == (0,)
