"""A store that lasts as long as one test."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import convostore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from convostore import Store
    from convostore.providers.provider import Provider


@asynccontextmanager
async def temporary_store(
    provider: Provider | None = None, *, owner: str | None = None
) -> AsyncIterator[Store]:
    """Open a new store in a folder of its own; both are gone when the block is left.

    Args:
        provider: answers the store's turns, and is closed with it.
        owner: whose rows; the personal owner by default.
    """
    with _place() as path:
        async with convostore.open(path, provider=provider, owner=owner) as store:
            yield store


@contextmanager
def _place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="convostore-") as folder:
        yield Path(folder) / "chats.db"
