"""Take the lock beside a store, fork, and wait to be killed; the child lives on.

Argument: the store's file. Tells the child's process id once the child runs; the child ends with
its stdin.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from teller import tell  # type: ignore[import-not-found] # beside this file

from convostore.storage.files import FileLock


def main(path: Path) -> None:
    """Hold the lock, as in the middle of a write."""
    ready, said = os.pipe()
    with FileLock(path):
        child = os.fork()
        if child == 0:
            os.write(said, b".")
        else:
            os.read(ready, 1)
            tell("forked", child)
        sys.stdin.read()


main(Path(sys.argv[1]))
