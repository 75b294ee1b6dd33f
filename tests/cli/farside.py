"""The Playground's test server in a thread of its own, for tests that run the program."""

from __future__ import annotations

import asyncio
import threading
from typing import Self

from convostore.testing import PlaygroundServer

LIMIT_S = 20.0


class FarSide:
    """Serve until it is left.

    Attributes:
        server: to be given its scripts before the program asks.
    """

    def __init__(self) -> None:
        self.server = PlaygroundServer()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        """Open the port."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.__aenter__(), self._loop).result(LIMIT_S)
        return self

    def __exit__(self, *ending: object) -> None:
        """Close the port, and whatever still runs."""
        closing = self.server.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(closing, self._loop).result(LIMIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT_S)
        self._loop.close()
