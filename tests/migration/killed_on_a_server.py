"""Bring a database up in child processes, one killed before each statement, the commit too.

    python killed_on_a_server.py URL SCRIPTS REVISION [at once]

Says the number of the statement before which a child died, waits for a line, and goes on with the
next one; ends when a child lived. With a fourth word it says that it is ready, waits, brings the
database up once, and kills nobody. SCRIPTS and REVISION are of a later program; `-` is this one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from alembic import command  # warm, before the forks
from sqlalchemy import Engine, event

from convostore.storage import migrate, postgres_schema
from convostore.storage.address import Server, address_of


def kill_at(statement: int) -> None:
    """Make this process die before the *statement*-th statement from here."""
    numbers = count(1)

    def die(*_: Any) -> None:
        if next(numbers) == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", die)
    event.listen(Engine, "commit", die)


def bring_up(server: Server, statement: int) -> bool:
    """Return whether a child that was to die at *statement* did; False: there is none such."""
    child = os.fork()
    if child == 0:
        kill_at(statement)
        asyncio.run(postgres_schema.ensure_schema(server, create=True, migrate=True))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status != 0:
        raise SystemExit(f"statement {statement}: the child failed")
    return False


def main(url: str, *, at_once: bool) -> None:
    """Kill at every statement until there are no more."""
    assert command
    server = address_of(url)
    assert isinstance(server, Server)
    if at_once:
        print("ready", flush=True)
        sys.stdin.readline()
        asyncio.run(postgres_schema.ensure_schema(server, create=True, migrate=True))
        return
    for statement in count(1):
        if not bring_up(server, statement):
            return
        print(statement, flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    scripts = Path(sys.argv[2])
    if scripts.name != "-":
        migrate._scripts = lambda: scripts
        migrate.REVISION = sys.argv[3]  # type: ignore[attr-defined] # a later program is played
        postgres_schema.REVISION = sys.argv[3]  # type: ignore[attr-defined] # likewise
    main(sys.argv[1], at_once=len(sys.argv) > 4)
