"""Bring a store up in child processes, one killed at each statement, one in the middle of each.

    python killed.py FOLDER TEMPLATE SCRIPTS REVISION

A copy of TEMPLATE (or nothing, when it is `-`) is brought up in FOLDER, once for each statement
and kind of death. Prints how many statements there are.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command  # warm, before the forks

from convostore.storage import access, migrate, sqlite

if TYPE_CHECKING:
    import sqlite3

MIDDLE = 5  # instructions of SQLite's machine after the statement's begin


def kill_at(statement: int, *, middle: bool) -> None:
    """Make this process die at the *statement*-th statement from here, or in its middle."""
    seen = 0
    connect = sqlite.connect_writer

    def connect_traced(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.set_trace_callback(lambda _: count(connection))
        return connection

    def count(connection: sqlite3.Connection) -> None:
        nonlocal seen
        seen += 1
        if seen == statement and middle:
            connection.set_progress_handler(die, MIDDLE)
        elif seen == statement:
            die()

    access.connect_writer = connect_traced  # type: ignore[attr-defined] # the name it was imported by


def die() -> None:
    """End at once, as by a power switch."""
    os.kill(os.getpid(), signal.SIGKILL)


def bring_up(path: Path, statement: int, *, middle: bool) -> bool:
    """Return whether a child that was to die at *statement* did; False: there is none such."""
    child = os.fork()
    if child == 0:
        kill_at(statement, middle=middle)
        migrate.ensure_schema(path, create=True, migrate=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status != 0:
        raise SystemExit(f"statement {statement}: the child failed")
    return False


def main(folder: Path, template: str) -> None:
    """Kill at every statement until there are no more."""
    assert command
    statement, alive = 0, False
    while not alive:
        statement += 1
        for middle in (False, True):
            path = folder / f"{statement:03}-{'middle' if middle else 'start'}.db"
            if template != "-":
                shutil.copy(template, path)
            alive = not bring_up(path, statement, middle=middle)
    print(statement - 1)


if __name__ == "__main__":
    scripts = Path(sys.argv[3])
    if scripts.name != "-":
        migrate._scripts = lambda: scripts
        migrate.REVISION = sys.argv[4]  # type: ignore[attr-defined] # a later program is played
    main(Path(sys.argv[1]), sys.argv[2])
