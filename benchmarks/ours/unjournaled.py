"""convostore without its journal, which it cannot be told to be: what the journal costs."""

from __future__ import annotations

from typing import Any, ClassVar

from benchmarks.ours.chats import Convostore
from convostore.turning.journaling import Journaling


class Unjournaled:
    """A store whose running replies are never flushed: it streams many replies, and no more."""

    plain: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = Convostore.packages

    async def open(self, path: str) -> None:
        """Open the store, and take the flushes out of this process, which measures nothing else."""
        setattr(Journaling, "tick", _nothing)  # noqa: B010 - a method is replaced, by intent
        setattr(Journaling, "is_behind", _never)  # noqa: B010
        self._store = Convostore()
        await self._store.open(path)

    async def close(self) -> None:
        """Close it."""
        await self._store.close()

    async def many_streams(self, url: str, turns: int, nominal_s: float) -> dict[str, Any]:
        """Measure many replies at once."""
        return await self._store.many_streams(url, turns, nominal_s)


def _nothing(_: Journaling) -> None:
    """Flush nothing."""


def _never(_: Journaling) -> bool:
    """Wait for nothing."""
    return False
