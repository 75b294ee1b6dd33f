"""How much of an export was read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convostore.exchange.streams import Readable


class Progress:
    """Counts what was read, in bytes or in conversations.

    Attributes:
        total: how much there is; 0 where nobody knows.
        done: how much of it was read.
    """

    def __init__(self) -> None:
        self.total = self.done = 0

    @property
    def part(self) -> float | None:
        """From 0 to 1; None where nobody knows."""
        return min(1.0, self.done / self.total) if self.total else None

    def counting(self, source: Readable) -> Readable:
        """Return *source*, whose bytes are counted as they are read."""
        return _Counted(source, self)


class _Counted:
    def __init__(self, source: Readable, progress: Progress) -> None:
        self._source, self._progress = source, progress

    def read(self, size: int = -1, /) -> bytes:
        piece = self._source.read(size)
        self._progress.done += len(piece)
        return piece
