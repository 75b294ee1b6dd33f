"""The command line's cost: whole processes, by the CPU that the kernel counted for them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.environments import python_of

if TYPE_CHECKING:
    from random import Random

BARE = "python -c pass"
WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Typed:
    """A command as somebody types it.

    Attributes:
        every: run in each so manyth round: a slow one is known well enough from fewer runs.
        environ: more of the environment.
    """

    name: str
    argv: tuple[str, ...]
    every: int = 1
    environ: dict[str, str] = field(default_factory=dict)


def typed(chats: Path) -> list[Typed]:
    """Return the commands to be compared; llm's only where it is installed."""
    program = Path(sys.executable).parent / "convostore"
    found = [
        Typed(BARE, (sys.executable, "-c", "pass")),
        Typed("convostore list", (str(program), "list", "--db", str(chats))),
        Typed("convostore show @", (str(program), "show", "@", "--db", str(chats))),
        Typed("convostore search", (str(program), "search", "xx*", "--db", str(chats))),
        Typed("convostore, Tab", (str(program),), environ=_tab(chats)),
    ]
    python = python_of("llm_logs")
    if python is not None and (llm := python.parent / "llm").exists():
        found.append(Typed("llm logs -n 1", (str(llm), "logs", "-n", "1"), every=4))
    return found


def _tab(chats: Path) -> dict[str, str]:
    """Return the environment in which bash asks for the names of conversations."""
    return {
        "CONVOSTORE_DB": str(chats),
        "_CONVOSTORE_COMPLETE": "bash_complete",
        "COMP_WORDS": "convostore show ",
        "COMP_CWORD": "2",
    }


def measure(commands: list[Typed], runs: int, home: Path, random: Random) -> list[dict[str, Any]]:
    """Run each command *runs* times after one that does not count, in a new order every time."""
    environ = os.environ | {"HOME": str(home), "LLM_USER_PATH": str(home / "llm")}
    (home / "llm").mkdir(exist_ok=True)
    recorded = []
    for repeat in range(-1, runs):
        due = [command for command in commands if repeat % command.every == 0 or repeat < 0]
        for order, command in enumerate(random.sample(due, len(due))):
            result = _run(command, environ)
            if repeat >= 0:
                recorded.append(
                    {
                        "workload": "commands",
                        "system": command.name,
                        "repeat": repeat,
                        "order": order,
                        "result": result,
                    }
                )
    return recorded


def _run(command: Typed, environ: dict[str, str]) -> dict[str, Any]:
    began_s = time.perf_counter()
    process = subprocess.Popen(
        command.argv,
        env=environ | command.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # else Popen would wait for it, too
    return {
        "elapsed_s": time.perf_counter() - began_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "exit": process.returncode,
    }
