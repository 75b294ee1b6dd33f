"""When a writer puts into the search index what its writes have marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostore import clock
from convostore.storage.search_index import SLICE, START, NextSlice

if TYPE_CHECKING:
    from convostore.storage.search_index import Slice

IDLE_S = 0.02  # without a write: then nobody waits for the writer
EVERY_S = 1.0  # a slice so often, however busy it is
MOST_AT_THE_END = 3  # slices, before a store is closed


class Indexing:
    """What one writer still has to index.

    Attributes:
        owes: there is something.
    """

    def __init__(self, most: int = SLICE) -> None:
        self.owes = False
        self._most = most
        self._after = START
        self._found_some = False
        self._last_s = clock.monotonic_s()

    def owe(self) -> None:
        """Note that a write has left marks, or that what is marked can be indexed now."""
        self.owes = True

    def is_overdue(self) -> bool:
        """Tell whether a slice is due although others wait for the writer."""
        return self.owes and clock.monotonic_s() - self._last_s > EVERY_S

    def job(self) -> NextSlice:
        """Return the next slice to do."""
        self._last_s = clock.monotonic_s()
        return NextSlice(after=self._after, most=self._most)

    def done(self, part: Slice) -> None:
        """Go on behind what is done; after a round in which nothing was to do, rest."""
        self._found_some = self._found_some or part.put_in > 0
        self._after = part.after
        if not part.more:
            self.owes, self._after, self._found_some = self._found_some, START, False

    def failed(self) -> None:
        """Rest until the next write; whoever searches meets the reason."""
        self.owes, self._after, self._found_some = False, START, False
