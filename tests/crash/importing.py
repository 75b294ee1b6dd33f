"""Import the same conversations, telling of each what became of it; waits at the end.

Arguments: the store's file, how many conversations, and how many messages each of them has.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from teller import tell  # type: ignore[import-not-found] # beside this file

sys.path.insert(0, str(Path(__file__).parents[2]))

import convostore
from tests.foreigners import foreign


async def main(path: str, conversations: int, messages: int) -> None:
    """Import all of them."""
    async with convostore.open(path) as store:
        tell("open")
        found = (foreign(f"c{number}", messages) for number in range(conversations))
        async for result in store.import_(found, tags=["x"]):
            tell(result.outcome, result.source_id, result.messages)
        tell("done")


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
