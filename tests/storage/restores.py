"""Restore a store in child processes, each killed before another of the steps on disk.

    python restores.py FOLDER STORE SOURCE

For each step a copy of STORE in FOLDER is restored from SOURCE. Prints how many steps there are.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

from convostore.storage.backup import restore

STEPS = {"open", "os.rename", "os.link", "os.remove", "os.chmod", "sqlite3.connect"}


def die_before(step: int) -> None:
    """Make this process die before it takes its *step*-th step on disk."""
    seen = 0

    def count(event: str, args: object) -> None:
        nonlocal seen
        if event in STEPS:
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def restored(path: Path, source: Path, step: int) -> bool:
    """Return whether a child got through although it was to die before *step*."""
    child = os.fork()
    if child == 0:
        die_before(step)
        restore(path, source)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status not in {0, signal.SIGKILL}:
        raise SystemExit(f"step {step}: the child failed")
    return status == 0


def main(folder: Path, store: Path, source: Path) -> None:
    """Kill before each step until there are no more."""
    step = 1
    while True:
        path = folder / f"{step:03}" / store.name
        path.parent.mkdir()
        for file in store.parent.glob(f"{store.name}*"):
            shutil.copy(file, path.parent)
        if restored(path, source, step):
            break
        step += 1
    print(step - 1)


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:]))
