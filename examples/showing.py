"""Running `convostore` for somebody to watch: each command in a process of its own, and a picture."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import shlex
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Show:
    """Runs commands on one store, prints them with what they print, and remembers it all.

    Args:
        store: the file; nothing else is configured for the commands.
        width: of the terminal, in characters; the picture shows no more of a line.
        terminal: the commands print to a terminal, so that they use its colours.
    """

    def __init__(self, store: Path, *, width: int = 112, terminal: bool = False) -> None:
        self._store = store
        self._width = width
        self._terminal = terminal
        self._console = Console(record=True, width=width, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Print what the demonstration itself has to say."""
        self._console.print(Text(text, style="dim"))

    def run(self, *arguments: str, shown: bool = True) -> str:
        """Run `convostore` with *arguments* in a new process, and return what it printed.

        Args:
            arguments: as typed.
            shown: print the command, and its output as it comes; else only what goes wrong.

        Raises:
            SystemExit: it failed.
        """
        if shown:
            line = shlex.join(["convostore", *arguments])
            self._console.print(Text(f"\n$ {line}", style="bold green"))
        code, printed = (
            self._in_terminal(arguments)
            if shown and self._terminal
            else self._piped(arguments, shown=shown)
        )
        if code:
            raise SystemExit(f"that ended with exit code {code}")
        return printed

    def save(self, picture: str, title: str) -> None:
        """Write what was printed so far as an SVG."""
        self._console.save_svg(picture, title=title)

    def _piped(self, arguments: tuple[str, ...], *, shown: bool) -> tuple[int, str]:
        with subprocess.Popen(  # noqa: S603 - our own program, and constants
            [sys.executable, "-m", "convostore", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if shown else None,
            env=self._environment(),
        ) as process:
            printed = []
            for text in _pieces(process.stdout.fileno() if process.stdout else -1):
                printed.append(text)
                if shown:
                    self._console.print(Text(text), end="")
        return process.returncode, "".join(printed)

    def _in_terminal(self, arguments: tuple[str, ...]) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, self._width, 0, 0))
        with subprocess.Popen(  # noqa: S603 - our own program, and constants
            [sys.executable, "-m", "convostore", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env={**self._environment(), "TERM": "xterm-256color", "NO_PAGER": "1"},
        ) as process:
            os.close(theirs)
            printed = "".join(_pieces(ours)).replace("\r\n", "\n")
        os.close(ours)
        self._console.print(Text.from_ansi(printed.rstrip("\n")))
        return process.returncode, printed

    def _environment(self) -> dict[str, str]:
        """Return the environment for the commands: nothing configured but the store."""
        kept = {name: value for name, value in os.environ.items() if "CONVOSTORE_" not in name}
        return {**kept, "CONVOSTORE_DB": str(self._store), "PYTHONUNBUFFERED": "1"}


def _pieces(file: int) -> Iterator[str]:
    """Yield what comes from *file*, as soon as it comes."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    with suppress(OSError):  # a terminal whose last writer has gone
        while data := os.read(file, 4096):
            yield decoder.decode(data)
