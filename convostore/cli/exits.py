"""How the program ends: the table of exit codes, and the one door every error leaves by.

.. code-block:: text

    0    done
    1    a format, a text or an attachment was refused, or something unexpected happened
    2    wrong usage, an option that the provider refuses; a short name that fits several conversations
    3    not found
    4    any other conflict
    5    the store is busy, full, damaged, of another version, or cannot be opened
    6    the provider failed or refused
    130  Ctrl-C (128 + the signal's number for every other signal)
    141  the reader of the output went away
"""

from __future__ import annotations

import errno
import os
from typing import Final

import click

from convostore import errors
from convostore.cli.terminal import say

INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
UNEXPECTED: Final = 1

# The first line that fits counts, so the exceptions stand above their families.
CODES: Final[tuple[tuple[type[Exception], int], ...]] = (
    (errors.UsageError, 2),
    (errors.ProviderOptionError, 2),
    (errors.AmbiguousHandleError, 2),
    (errors.NotFoundError, 3),
    (errors.ConflictError, 4),
    (errors.InvalidTextError, 1),
    (errors.AttachmentError, 1),
    (errors.StoreError, 5),
    (errors.ProviderError, 6),
    (errors.FormatError, 1),
    (errors.ConvostoreError, 1),
)


_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class SignalledError(Exception):
    """The program was asked by a signal to end, and did so in good order.

    Attributes:
        signum: the signal's number.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"ended by signal {signum}")
        self.signum = signum


class EndedError(Exception):
    """Everything has been said already; only the exit code is left.

    Attributes:
        code: the exit code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


def exit_code(error: BaseException) -> int:
    """Return the exit code that *error* stands for; 1 for what is in no line of the table."""
    if isinstance(error, EndedError):
        return error.code
    if isinstance(error, SignalledError):
        return 128 + error.signum
    if isinstance(error, click.ClickException):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    return next((code for kind, code in CODES if isinstance(error, kind)), UNEXPECTED)


def debugging() -> bool:
    """Tell whether CONVOSTORE_DEBUG=1 asks for tracebacks."""
    return os.environ.get("CONVOSTORE_DEBUG") == "1"


def report(error: BaseException) -> None:
    """Say on stderr what happened, one line, and what to do next, one line each."""
    if isinstance(error, EndedError):
        return
    if debugging():
        _print_traceback(error)
    if isinstance(error, BrokenPipeError):
        return
    if isinstance(error, KeyboardInterrupt | click.Abort | SignalledError):
        say("convostore: interrupted")
        return
    if isinstance(error, click.ClickException):
        _report_click(error)
        return
    if isinstance(error, errors.ConvostoreError):
        for line in error_lines(error):
            say(line)
        return
    if isinstance(error, OSError):
        for line in system_lines(error):
            say(line)
        return
    say(f"convostore: unexpected {type(error).__name__}: {error}")
    say("hint: this is a fault in convostore; CONVOSTORE_DEBUG=1 shows where")


def error_lines(error: errors.ConvostoreError) -> list[str]:
    """Return what is said about *error*: the message, the candidates, the hint; not escaped."""
    lines = [f"convostore: {error.message}"]
    if isinstance(error, errors.AmbiguousHandleError):
        lines += [f"  {handle}  {title}" for handle, title in error.candidates]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    return lines


def system_lines(error: OSError) -> list[str]:
    """Return what is said about an error of the system's that belongs to no file of ours.

    Without a name it is standard output that takes no more. Not escaped.
    """
    if error.errno not in _NO_ROOM or error.filename is not None:
        return [f"convostore: {error.strerror or error}"]
    return [
        f"convostore: standard output failed: {error.strerror}",
        "hint: make room where it goes to, or send it elsewhere",
    ]


def _report_click(error: click.ClickException) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return
    say(f"convostore: {error.format_message()}")
    if isinstance(error, click.UsageError):
        say(f"hint: {error.ctx.command_path if error.ctx else 'convostore'} --help")


def _print_traceback(error: BaseException) -> None:
    import traceback

    traceback.print_exception(error)
