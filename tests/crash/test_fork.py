"""A process that was forked while its parent was writing, and the parent killed."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.only("sqlite", reason="it is about the lock beside the file")
PROGRAM = Path(__file__).parent / "forking.py"


def test_a_forked_child_does_not_hold_the_lock_of_its_killed_parent(path: Path) -> None:
    """While the parent lives it keeps the lock; from its death on nobody waits, child or not."""
    command = [sys.executable, str(PROGRAM), str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = json.loads(parent.stdout.readline())[1]
        file = os.open(path.with_name(path.name + "-lock"), os.O_RDWR)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            parent.send_signal(signal.SIGKILL)
            os.waitid(os.P_PID, parent.pid, os.WEXITED | os.WNOWAIT)
            os.kill(child, 0)  # it lives
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(file)
