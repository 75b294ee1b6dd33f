"""Import the same conversations, telling of each what became of it, and be killed on the way.

Arguments: the store's file, how many conversations, how many messages each of them has, after how
many new ones the kill is sent, and after how many seconds more it comes. It is sent from here:
whoever reads what is told may be so far behind that all is done by then.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

from teller import tell  # type: ignore[import-not-found] # beside this file

sys.path.insert(0, str(Path(__file__).parents[2]))

import convostore
from tests.foreigners import foreign


async def main(path: str, conversations: int, messages: int, after: int, wait_s: float) -> None:
    """Import all of them, or as many as it comes to."""
    async with convostore.open(path) as store:
        tell("open")
        found = (foreign(f"c{number}", messages) for number in range(conversations))
        async for result in store.import_(found, tags=["x"]):
            tell(result.outcome, result.source_id, result.messages)
            after -= result.outcome == "added"
            if not after:
                threading.Timer(wait_s, os.kill, [os.getpid(), signal.SIGKILL]).start()
        tell("done")


asyncio.run(
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
)
