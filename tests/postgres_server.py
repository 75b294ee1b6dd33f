"""A PostgreSQL server for the tests: one that is named, or one of our own on a unix socket."""

from __future__ import annotations

import itertools
import os
import signal
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from convostore.testing.postgres_process import postgres_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.testing.postgres_process import PostgresProcess

NAMED = "CONVOSTORE_TEST_POSTGRES_URL"  # of a server whose role may make databases
LOCKED_ROLE, LOCKED_PASSWORD = "locked", "s3cret-p@ss"
_SETTINGS = (  # no promise against power cuts, which no test here makes; a kill loses nothing
    *("fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0"),
    *("max_connections=200", "shared_buffers=64MB", "autovacuum=off", "io_method=sync"),
    "max_prepared_transactions=2",
)
_LIMIT_S = 40  # for what makes and removes databases: below the limit of a test
_HBA = f"local all {LOCKED_ROLE} scram-sha-256\nlocal all all trust\n"


class PostgresServer:
    """A server with databases for single tests.

    Attributes:
        url: of the server, without a database.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._numbers = itertools.count()
        self._prefix = f"convostore_test_{os.getpid()}"

    def of(self, database: str, *, role: str = "") -> str:
        """Return the URL of a database."""
        before, _, query = self.url.partition("?")
        scheme, _, place = before.partition("://")
        if role:
            place = role + "@" + place.rpartition("@")[2]
        return f"{scheme}://{place.partition('/')[0]}/{database}" + (query and f"?{query}")

    def admin(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Connect as one who may do everything, without transactions."""
        return psycopg.connect(
            self.of(database),
            autocommit=True,
            connect_timeout=_LIMIT_S,
            options=f"-c statement_timeout={_LIMIT_S}s",
        )

    def make(self, template: str = "template1") -> str:
        """Make a database and return its name."""
        name = f"{self._prefix}_{next(self._numbers)}"
        with closing(self.admin()) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever still uses it."""
        with closing(self.admin()) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


class OwnServer(PostgresServer):
    """A server that this process started; it can be killed and started again.

    Attributes:
        programs: the folder of the programs that came with it.
    """

    def __init__(self, process: PostgresProcess) -> None:
        super().__init__(process.url)
        self._process = process
        self.programs = process.programs

    @property
    def pid(self) -> int:
        """Return the server's process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Tell whether the server runs."""
        return self._process.is_running

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self._process.start()

    def end(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT in good order, SIGQUIT at once, as after a crash."""
        self._process.end(how)


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """Run a server in a folder of its own; both are gone at the end."""
    with postgres_process(settings=_SETTINGS, access=_HBA) as process:
        server = OwnServer(process)
        with closing(server.admin()) as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(LOCKED_ROLE), sql.Literal(LOCKED_PASSWORD)
                )
            )
        yield server


@contextmanager
def any_server() -> Iterator[PostgresServer]:
    """Give the server that is named in the environment, else run one of our own."""
    if url := os.environ.get(NAMED):
        yield PostgresServer(url)
        return
    with own_server() as server:
        yield server
