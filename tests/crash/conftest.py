"""What the crash tests share: a child that is killed, and what it had told before."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Child = Callable[..., AbstractContextManager[subprocess.Popen[str]]]

HERE = Path(__file__).parent


@pytest.fixture
def chance() -> random.Random:
    """Give random numbers whose seed a failing test prints."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.fixture
def child() -> Child:
    """Start a program of this folder; it is killed when the block is left."""

    @contextmanager
    def start(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, str(HERE / program), *map(str, arguments)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)

    return start


def kill_in_the_middle(
    child: Any, program: str, *arguments: object, within_s: float, chance: random.Random
) -> list[list[Any]]:
    """Run a child, kill it at a random instant after its first word; return what it told."""
    with child(program, *arguments) as process:
        told = [json.loads(process.stdout.readline())]
        wait_s = chance.uniform(0, within_s)
        killer = threading.Timer(wait_s, process.send_signal, [signal.SIGKILL])
        killer.start()
        told += [json.loads(line) for line in process.stdout]
        killer.join()
    assert process.returncode == -signal.SIGKILL
    return told
