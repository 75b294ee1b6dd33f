"""The PostgreSQL server that is measured on: its defaults, so every commit is synced to the disk."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from convostore.testing.postgres_process import is_open_to_all, postgres_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from convostore.testing.postgres_process import PostgresProcess


class NoServerError(Exception):
    """There is no PostgreSQL to measure on; the message says why."""


@contextmanager
def database_server(disk: Path) -> Iterator[PostgresProcess]:
    """Run a server of our own below *disk*; it is gone at the end.

    Where root measures in a folder that only root may enter, the server's user could not either:
    then it is below the system's folder for temporary files.

    Raises:
        NoServerError: it cannot be had.
    """
    reachable = os.geteuid() != 0 or is_open_to_all(disk)
    running = postgres_process(below=disk if reachable else None)
    try:
        server = running.__enter__()
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        raise NoServerError(f"no PostgreSQL server: {error}") from error
    try:
        yield server
    finally:
        running.__exit__(None, None, None)


def version_of(server: PostgresProcess) -> str:
    """Return the version of a server's programs, as `18.6`."""
    said = subprocess.run(
        [server.programs / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    return said.stdout.split()[-1]
