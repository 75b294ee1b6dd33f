"""Processes that die while they bring a store up, and processes that do it at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from schemas import (  # type: ignore[import-not-found] # pytest puts this folder on the path
    LATER,
    content,
    revision,
    schema,
)

from convostore.storage.access import look, stored_revision
from convostore.storage.backup import backup
from convostore.storage.check import check
from convostore.storage.migrate import ensure_schema
from convostore.storage.tables import REVISION

HERE = Path(__file__).parent


def _kill_everywhere(folder: Path, *words: str | Path) -> list[Path]:
    """Run the trial and return what it left, a file for each death that left one."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, HERE / "killed.py", folder, *words],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    left = sorted(folder.glob("*.db"))
    assert len(left) >= 2 * int(done.stdout) - 4  # the last ones may be past the commit
    assert int(done.stdout) > 15
    return left


@pytest.mark.timeout(600)  # many deaths, each with a store to look at
def test_new_store_killed_in_any_statement_is_made_by_the_next_open(tmp_path: Path) -> None:
    """Wherever the first start dies, nothing half made is left: the next one makes it whole."""
    whole = tmp_path / "whole.db"
    ensure_schema(whole, create=True, migrate=False)
    for path in _kill_everywhere(tmp_path / "killed", "-", "-", "-"):
        assert schema(path) in ({}, schema(whole)), path.name
        ensure_schema(path, create=True, migrate=False)
        assert schema(path) == schema(whole), path.name
        assert revision(path) == REVISION
        assert check(path, deep=True).problems == ()


@pytest.mark.timeout(600)  # many deaths, each with a store to look at
def test_upgrade_killed_in_any_statement_leaves_the_old_store_or_the_new(
    filled: Path, tmp_path: Path, later: Path
) -> None:
    """Wherever an upgrade dies, the schema is of one revision, no row is lost, and it can be done again."""
    before, old_schema = content(filled), schema(filled)
    new = tmp_path / "new.db"
    ensure_schema(new, create=True, migrate=False)
    template = tmp_path / "template.db"
    backup(filled, template)
    seen = set()
    for path in _kill_everywhere(tmp_path / "killed", template, later, LATER):
        at = revision(path)
        seen.add(at)
        assert schema(path) == (old_schema if at == REVISION else schema(new)), path.name
        assert content(path) == before, path.name
        ensure_schema(path, create=False, migrate=True)
        assert (revision(path), content(path)) == (LATER, before), path.name
    assert seen == {REVISION, LATER}


AT_ONCE = """
import os, sys
from pathlib import Path
from alembic import command
from convostore.storage.migrate import ensure_schema
from convostore.storage.access import look, stored_revision
for number in range(20):
    path = Path(sys.argv[1]) / f"{number}.db"
    gate, opened = os.pipe()
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            os.close(opened)
            os.read(gate, 1)  # returns when the parent closes its end: both start at once
            ensure_schema(path, create=True, migrate=False)
            os._exit(0)
        children.append(child)
    os.close(opened)
    os.close(gate)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
"""


def test_two_processes_that_open_a_new_store_at_once_both_succeed(tmp_path: Path) -> None:
    """Twenty times two processes begin at the same moment; the store is made once, whole."""
    subprocess.run([sys.executable, "-c", AT_ONCE, tmp_path], check=True)
    paths = sorted(tmp_path.glob("*.db"))
    assert len(paths) == 20
    for path in paths:
        assert revision(path) == REVISION
        assert schema(path) == schema(paths[0])


def test_store_made_while_another_looks_is_not_taken_for_a_foreign_one(tmp_path: Path) -> None:
    """A store that appears between the question for its revision and the one for tables is ours."""
    path = tmp_path / "chats.db"
    path.touch()
    asked: list[str] = []

    def make(sql: str) -> None:
        if not asked:
            ensure_schema(path, create=True, migrate=False)
        asked.append(sql)

    with look(path) as (connection, _):
        connection.set_trace_callback(make)
        assert stored_revision(connection, path) == REVISION
    assert "sqlite_master" in asked[0]
