"""Questions to a person at a terminal, which Ctrl-C ends at whatever moment it comes."""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from convostore.cli.exits import SignalledError
from convostore.cli.terminal import one_line, say, write_stderr

if TYPE_CHECKING:
    from collections.abc import Iterator

_YES, _NO = ("y", "yes"), ("n", "no", "")


def confirmed(question: str) -> bool:
    """Ask *question* on stderr until yes or no is typed; Enter alone is no.

    Raises:
        SignalledError: Ctrl-C.
        click.Abort: the terminal is gone, or Ctrl-D was typed.
    """
    while (word := _answer(f"{question} [y/N]: ").lower()) not in (*_YES, *_NO):
        say(f'"{word}" is neither y nor n')
    return word in _YES


def asked(question: str) -> str:
    """Ask *question* on stderr until something is typed; return it without blanks around it.

    Raises:
        SignalledError: Ctrl-C.
        click.Abort: the terminal is gone, or Ctrl-D was typed.
    """
    while not (words := _answer(f"{question}: ")):
        pass
    return words


def _answer(question: str) -> str:
    with _interruptible() as signals:
        write_stderr(one_line(question))
        try:
            # A signal just before the read would wait for the person's next line; its byte cannot.
            select.select([sys.stdin, signals], [], [])
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            write_stderr("\n")
            raise SignalledError(signal.SIGINT) from None
    if not line:
        write_stderr("\n")
        raise click.Abort
    return line.strip()


@contextmanager
def _interruptible() -> Iterator[int]:
    """Let Ctrl-C raise KeyboardInterrupt at once; give what is readable when any signal came.

    An event loop would only note it for later, when the coroutine that asks waits for something.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    earlier = signal.getsignal(signal.SIGINT)
    if earlier is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    fd = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(fd)
        signal.signal(signal.SIGINT, earlier)
        os.close(reading)
        os.close(writing)
