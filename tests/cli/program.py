"""The program as a process of its own, in a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forking import Loaded  # type: ignore[import-not-found] # pytest puts this folder on the path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines import Where

LIMIT_S = 60  # a run that takes longer hangs
SOON_S = 2.0  # after its cause, or after a limit, the program has ended; so long is its own start


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Hold what is done to its time, where the machine does nothing else: in `make test-long`."""
    at = time.monotonic()
    yield
    if os.environ.get("CONVOSTORE_TEST_TIMES"):
        assert time.monotonic() - at < seconds


@dataclass(frozen=True)
class Run:
    """How one run of the program ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Stdout as text."""
        return self.out.decode()

    @property
    def json(self) -> Any:
        """Stdout as one JSON document."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Stdout as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def handle(self) -> str:
        """The handle, which is the first word of the last line on stderr."""
        return self.err.rstrip("\n").rpartition("\n")[2].split()[0]


@dataclass
class Program:
    """Runs the program; nothing of it touches the real home."""

    home: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def argv(self) -> list[str]:
        """What starts the program."""
        return [sys.executable, "-m", "convostore"]

    @property
    def store(self) -> Where:
        """Where its store is."""
        return self.extra.get("CONVOSTORE_DB") or Path(self("path").text.strip())

    @property
    def environment(self) -> dict[str, str]:
        """The environment of each run."""
        names = ("PATH", "LANG", "SYSTEMROOT", "VIRTUAL_ENV")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        folders = {
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
        }
        return {**kept, **folders, "PYTHONUTF8": "1", "CONVOSTORE_PROVIDER": "echo", **self.extra}

    def __call__(self, *words: str, stdin: bytes | None = None) -> Run:
        """Run the program to its end; without *stdin* it is /dev/null.

        It is loaded already, but where a test changes how Python starts.
        """
        if any(name.startswith("PYTHON") for name in self.extra):
            ended = subprocess.run(
                [*self.argv, *words],
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                env=self.environment,
                timeout=LIMIT_S,
                check=False,
            )
        else:
            ended = _loaded().run(words, env=self.environment, stdin=stdin, limit_s=LIMIT_S)
        return Run(ended.returncode, ended.stdout, ended.stderr.decode())

    def start(
        self, *words: str, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        """Start the program and leave it running; the caller waits for it."""
        return subprocess.Popen(
            [*self.argv, *words],
            env=self.environment,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )


@cache
def _loaded() -> Loaded:
    return Loaded()
