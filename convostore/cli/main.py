"""The program `convostore`: its commands, and the one place where it starts and ends."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from typing import NoReturn

import click

from convostore import __version__
from convostore.cli.chat import chat
from convostore.cli.db import db
from convostore.cli.exits import debugging, exit_code, report
from convostore.cli.export import export
from convostore.cli.invocation import examples, store_options
from convostore.cli.models import models
from convostore.cli.read import list_command, path, show

EXAMPLES = examples(
    'convostore chat "Plan three days in Kyoto"   ask; the answer is kept while it streams',
    'convostore chat -c "And the budget?"         go on, today or next year',
    "convostore list                              what is kept",
    "convostore show @                            read the newest",
)


@click.group(
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="convostore", message="%(prog)s %(version)s")
@store_options
def program() -> None:
    """Keep every chat: the question before the model is asked, the answer while it comes.

    Exit codes: 0 done, 1 text or format refused, 2 usage or ambiguous name, 3 not found,
    4 conflict, 5 store, 6 provider, 130 Ctrl-C. Shell completion:
    eval "$(_CONVOSTORE_COMPLETE=bash_source convostore)".
    """


for command in (chat, list_command, show, export, models, path, db):
    program.add_command(command)


def main() -> NoReturn:
    """Run the command line, and end the process with the exit code of the table."""
    _hold_standard_streams()
    try:
        code = program.main(prog_name="convostore", standalone_mode=False) or 0
        sys.stdout.flush()
    except SystemExit:
        raise  # click's shell completion ends this way
    except BaseException as error:  # noqa: BLE001 - the one door: nothing leaves as a traceback
        report(error)
        code = exit_code(error)
    _leave(code)


def _hold_standard_streams() -> None:
    """Make 0, 1 and 2 what everybody takes them for, and keep every other voice off stderr.

    Where the caller closed one of them, the next file opened, perhaps the store, would get its
    number, and be written to by the next print.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for the process's life
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for the process's life
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if not debugging():
        sys.unraisablehook = _say_nothing
        threading.excepthook = _say_nothing


def _say_nothing(trouble: object) -> None:
    """Keep Python from printing the traceback of something nobody waits for."""


def _leave(code: int) -> NoReturn:
    """End the process at once; what stdout could not take is dropped.

    Python's own end would wait for every thread. One that looks up a host's name cannot be told to
    stop, and without a network it takes half a minute.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)
