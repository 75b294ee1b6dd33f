"""Processes that die while they bring a database up, and processes that do it at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemas  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore.storage.tables import REVISION, VERSION_TABLE
from tests.engines import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines import Where

pytestmark = pytest.mark.only("postgres", reason="it is about databases of a server")
PROGRAM = Path(__file__).parent / "killed_on_a_server.py"
NEXT = schemas.NEXT.replace('recreate="always"', 'recreate="auto"')  # only SQLite needs a new table


def started(*words: str | Path) -> subprocess.Popen[str]:
    """Start the program that brings a database up."""
    return subprocess.Popen(
        [sys.executable, PROGRAM, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def deaths(*words: str | Path) -> Iterator[int]:
    """Yield after each death of a process that brings the database up; the last one lives."""
    with started(*words) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        for line in program.stdout:
            yield int(line)
            program.stdin.write("\n")
            program.stdin.flush()
    assert program.returncode == 0


def schema(url: Where) -> set[tuple[Any, ...]]:
    """Return every table and index, with what it is made of."""
    columns = rows(
        url,
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public'",
    )
    return {*columns, *rows(url, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'")}


def revision(url: Where) -> str:
    """Return the revision that a database says it has."""
    return str(rows(url, f"SELECT version_num FROM {VERSION_TABLE}")[0][0])


def content(url: Where) -> list[tuple[Any, ...]]:
    """Return what was said."""
    return rows(url, "SELECT id, seq, text, content_hash FROM message ORDER BY id")


async def problems(url: Where) -> tuple[Any, ...]:
    """Open a store and return what its own check finds."""
    async with convostore.open(url) as store:
        return tuple((await store.check(deep=True)).problems)


def test_new_store_killed_before_any_statement_is_made_by_the_next_open(
    path: Where, new_path: Where
) -> None:
    """Wherever the first start dies, the database stays empty: the next one makes it whole."""
    number = 0
    for number in deaths(str(new_path), "-", "-"):
        assert schema(new_path) == set(), number
    assert number > 15
    assert (revision(new_path), schema(new_path)) == (REVISION, schema(path))
    assert asyncio.run(problems(new_path)) == ()


def test_upgrade_killed_before_any_statement_leaves_the_old_store(
    path: Where, tmp_path: Path
) -> None:
    """Wherever an upgrade dies, schema and rows are the old ones, and it can be done again."""
    asyncio.run(schemas.fill(path))
    before, old = content(path), schema(path)
    scripts = schemas.write_scripts(tmp_path / "later", NEXT)
    number = 0
    for number in deaths(str(path), scripts, schemas.LATER):
        assert (revision(path), schema(path)) == (REVISION, old), number
        assert content(path) == before, number
    assert number > 5
    assert (revision(path), content(path)) == (schemas.LATER, before)
    assert schema(path) > old
    assert rows(path, "SELECT value FROM store_meta WHERE name = 'moods'") == [("two",)]


def test_processes_that_upgrade_at_once_all_succeed(path: Where, tmp_path: Path) -> None:
    """Four begin at the same moment; the upgrade is done once, and no row is lost."""
    asyncio.run(schemas.fill(path))
    before = content(path)
    scripts = schemas.write_scripts(tmp_path / "later", NEXT)
    programs = [started(str(path), scripts, schemas.LATER, "at once") for _ in range(4)]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("\n")
        program.stdin.flush()
    for program in programs:
        program.communicate(timeout=60)
    assert [program.returncode for program in programs] == [0] * 4
    assert (revision(path), content(path)) == (schemas.LATER, before)
    assert rows(path, "SELECT value FROM store_meta WHERE name = 'moods'") == [("two",)]
