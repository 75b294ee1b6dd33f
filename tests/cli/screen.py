"""A terminal for the program: what a person sees and types, through a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import signal

    from tests.cli.program import Program

LIMIT_S = 30.0
ENTER, ALT_ENTER, CTRL_C, CTRL_D = "\r", "\x1b\r", "\x03", "\x04"
_STYLE = re.compile(rb"\x1b(\[[0-9;?]*[a-zA-Z]|[=>])")


class Screen:
    """Runs the program on a terminal of 100 columns; closed, and the program with it, at the end.

    Attributes:
        seen: every byte the terminal was sent, in order.
    """

    def __init__(self, program: Program, *words: str) -> None:
        self._leader, follower = os.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        extra = {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.process = subprocess.Popen(
            [*program.argv, *words],
            env=program.environment | extra | program.extra,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - the test has no thread when it starts this
        )
        os.close(follower)
        self.seen = b""
        self._read_up_to = 0

    def __enter__(self) -> Self:
        """Give the terminal."""
        return self

    def __exit__(self, *ending: object) -> None:
        """End the program, if it still runs, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._leader)

    @property
    def text(self) -> str:
        """What was shown, without colours and cursor movements."""
        return _STYLE.sub(b"", self.seen).decode("utf-8", "replace").replace("\r\n", "\n")

    def expect(self, words: str) -> None:
        """Wait until *words* are shown, after what was expected before."""
        deadline = time.monotonic() + LIMIT_S
        while (found := self.text.find(words, self._read_up_to)) < 0:
            if not self._more(deadline):
                raise AssertionError(f"{words!r} never came; the terminal shows:\n{self.text}")
        self._read_up_to = found + len(words)

    def type(self, keys: str) -> None:
        """Press *keys*."""
        os.write(self._leader, keys.encode())

    def send(self, signum: signal.Signals) -> None:
        """Send the program a signal."""
        self.process.send_signal(signum)

    def end(self) -> int:
        """Wait for the program's end; return its exit code."""
        deadline = time.monotonic() + LIMIT_S
        while self._more(deadline):
            pass
        return self.process.wait(LIMIT_S)

    def _more(self, deadline: float) -> bool:
        if not select.select([self._leader], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self._leader, 65536)
        except OSError:  # the program closed its side
            return False
        self.seen += data
        return bool(data)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
