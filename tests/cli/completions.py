"""A server of chat completions in a thread of its own, for tests that run the program."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.providers.completions import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.providers.completions import ChatServer

LIMIT_S = 20.0


@contextmanager
def served() -> Iterator[ChatServer]:
    """Serve until it is left; its script is to be given before the program asks."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = serving()
    try:
        yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(LIMIT_S)
    finally:
        closing = server.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(closing, loop).result(LIMIT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LIMIT_S)
        loop.close()
