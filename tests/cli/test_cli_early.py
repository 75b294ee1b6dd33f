"""Ctrl-C in the first moments: while modules are loaded, and while the store is opened."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.program import Program

LIMIT_S = 60


@pytest.mark.parametrize(
    "module",
    [
        "convostore.plainconfig",
        "convostore.cli.quick",
        "click.core",
        "convostore.cli.program",
        "asyncio.events",
        "msgspec",
        "sqlalchemy.sql.elements",
        "convostore.storage.turns",
    ],
)
@pytest.mark.parametrize("words", [["chat", "Hi"], ["export", "--all"]])
def test_ctrl_c_while_the_program_loads_is_no_traceback(
    program: Program, module: str, words: list[str]
) -> None:
    """Code 130, or ended by the signal itself where nothing is loaded yet; at most one line."""
    program.extra["PYTHONPROFILEIMPORTTIME"] = "1"
    running = subprocess.Popen(
        [*program.argv, *words],
        env=program.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    loaded = ""
    while loaded.rpartition("|")[2].strip() != module:
        loaded = running.stderr.readline()
        assert loaded, f"{module} is never loaded"
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=LIMIT_S)
    said = [line for line in err.splitlines() if line and not line.startswith("import time:")]
    if running.returncode == -signal.SIGINT:
        assert said == []
    else:
        assert running.returncode == 130
        assert said[0].startswith("convostore: ")
        assert len(said) <= 2
