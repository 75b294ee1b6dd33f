"""The parent's side of a worker: start it, ask it within a bound, end it by its own pid."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

    from benchmarks.systems import System

ROOT = Path(__file__).parent.parent
START_S = 60.0  # to import the heaviest peer on a busy machine
END_S = 5.0
# Nothing of a peer may call home while it is measured, or write into the person's own folders.
QUIETLY = {
    "AGNO_TELEMETRY": "false",
    "ANONYMIZED_TELEMETRY": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "PYTHONDONTWRITEBYTECODE": "",
}


class ChildError(Exception):
    """A command failed in the child, took too long, or the child is gone."""


class Child:
    """A worker process, from its first command to its end."""

    def __init__(self, system: System, python: Path, home: Path) -> None:
        self.system = system
        self._log = (home / f"{system.file_name}.log").open("ab")
        self._process = subprocess.Popen(
            [str(python), "-m", "benchmarks.worker", system.adapter],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | QUIETLY | {"HOME": str(home), "LLM_USER_PATH": str(home / "llm")},
        )
        self._received = b""

    def __enter__(self) -> Self:
        """Give the running child."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.end()

    def ask(self, command: dict[str, Any], *, within_s: float) -> Any:
        """Send one command and return its result.

        Raises:
            ChildError: it failed, or did not answer in time; the child is then to be ended.
        """
        self.tell(command)
        return self.told(within_s=within_s)

    def tell(self, command: dict[str, Any]) -> None:
        """Send one command without waiting for its answer.

        Raises:
            ChildError: the child is gone.
        """
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:  # a closed pipe is a ValueError
            raise ChildError(f"{self.system.name} is gone ({error})") from error

    def told(self, *, within_s: float) -> Any:
        """Wait for the answer to the oldest unanswered command, and return its result.

        Raises:
            ChildError: the command failed, or there was no answer in time.
        """
        reply = json.loads(self._line(time.monotonic() + within_s))
        if "error" in reply:
            self._log.write(reply["at"].encode())
            self._log.flush()
            raise ChildError(reply["error"])
        return reply["ok"]

    def _line(self, until_s: float) -> bytes:
        assert self._process.stdout is not None
        file = self._process.stdout.fileno()
        while b"\n" not in self._received:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not select.select([file], [], [], left_s)[0]:
                raise ChildError("no answer in time")
            piece = os.read(file, 65536)
            if not piece:
                raise ChildError(f"ended with {self._process.wait(END_S)}")
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        return line

    def end(self) -> None:
        """End the process: it goes when its input ends, or is killed. Idempotent."""
        if self._process.poll() is None:
            assert self._process.stdin is not None
            try:
                self._process.stdin.close()
                self._process.wait(END_S)
            except (OSError, subprocess.TimeoutExpired):
                self._process.send_signal(signal.SIGKILL)
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()
