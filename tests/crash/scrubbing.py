"""Purge a conversation, and scrub the store, telling what was acknowledged.

Arguments: the store's file, and the conversation's handle.
"""

from __future__ import annotations

import asyncio
import sys

from teller import tell  # type: ignore[import-not-found] # beside this file

import convostore


async def main(path: str, handle: str) -> None:
    """Do it once."""
    async with convostore.open(path) as store:
        await store.purge(handle, scrub=False)
        tell("purged")
        await store.scrub()
        tell("scrubbed")
        await asyncio.Event().wait()  # until it is killed


asyncio.run(main(sys.argv[1], sys.argv[2]))
