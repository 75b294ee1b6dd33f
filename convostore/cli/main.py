"""Where the program `convostore` starts and ends: the quick way first, else click's."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # no stub; `signal` itself loads enum, which takes longer than `convostore path`
import contextlib
import io
import os
import sys

from convostore.cli import quick

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from typing import NoReturn


def main(*, heard: bool = False) -> NoReturn:
    """Run the command line, and end the process with the exit code of the table.

    Args:
        heard: Ctrl-C is to raise KeyboardInterrupt from here on.
    """
    _hold_standard_streams()
    try:
        if heard:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        code = 0 if quick.run(sys.argv[1:]) else _run_command()
        sys.stdout.flush()
    except SystemExit:
        raise  # click's shell completion ends this way
    except BaseException as error:  # noqa: BLE001 - the one door: nothing leaves as a traceback
        _signal.signal(_signal.SIGINT, _signal.SIG_IGN)  # all that is left is to say it
        from convostore.cli.exits import exit_code, report

        report(error)
        code = exit_code(error)
    _leave(code)


def _run_command() -> int:
    """Let click read what is typed; return the exit code."""
    import threading
    import warnings

    from convostore.cli import completion
    from convostore.cli.exits import debugging
    from convostore.cli.invocation import Invocation
    from convostore.cli.program import program
    from convostore.errors import ConvostoreError

    if completion.VARIABLE in os.environ:
        completion.register()
    if not debugging():
        sys.unraisablehook = _say_nothing
        threading.excepthook = _say_nothing
        warnings.simplefilter("ignore", RuntimeWarning)  # what Ctrl-C kept from being awaited
    invocation = Invocation()
    try:
        code = program.main(prog_name="convostore", standalone_mode=False, obj=invocation)
    except ConvostoreError as error:
        invocation.fit(error)
        raise
    return code or 0


def _hold_standard_streams() -> None:
    """Make 0, 1 and 2 what everybody takes them for.

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
