"""The database as the rest of the package sees it: `write` and `read`, and errors of ours.

Behind it are two engines: one SQLite file (`sqlite.py`) and a PostgreSQL server (`postgres.py`).
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, TypeVar

from convostore.errors import StoreBusyError, StoreClosedError
from convostore.storage.waiting import Deadlines, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TypeAlias

    from convostore.errors import StoreError
    from convostore.storage.scrub_note import ScrubReport
    from convostore.storage.statements import Hot, Row
    from convostore.storage.waiting import GroupFunction

ResultT = TypeVar("ResultT")
if TYPE_CHECKING:
    Reading: TypeAlias = Generator[tuple[Hot, dict[str, Any]], list[Row], ResultT]
CLOSE_S: Final = 5.0  # how long closing waits for the writes that are queued


class Database(ABC):
    """One opened database.

    A write that returned is on disk, after kill -9 and after a power cut. A write whose caller
    was cancelled or timed out once it had been taken has an unknown outcome.

    Attributes:
        name: what messages call the store; without secrets.
        on_server: its searches are a server's.
    """

    on_server = False

    def __init__(self, name: str, *, busy_timeout_s: float) -> None:
        self.name = name
        self.busy_timeout_s = busy_timeout_s
        self._pid = os.getpid()
        self._closed = False
        self._deadlines: Deadlines | None = None

    async def write(self, function: GroupFunction, owner_id: str, job: object) -> Any:
        """Run *job* through its group function in the next transaction, and return its outcome.

        Raises:
            StoreBusyError: not begun within `busy_timeout_s`; certainly not stored.
            StoreFullError: nothing of it was stored.
            StoreError: whatever else the database says.
            StoreClosedError: the store is closed or was inherited by a fork.
            ConvostoreError: the conflict that the function returned for this job.
        """
        waiting = self.submit(function, owner_id, job)
        try:
            return await waiting.future
        except asyncio.CancelledError:
            waiting.let_go()
            raise

    def submit(self, function: GroupFunction, owner_id: str, job: object) -> Waiting:
        """Queue *job* as `write` does, and return at once; its `future` gets what `write` returns.

        For a caller who has to know the outcome though somebody may cancel it: the job is not
        withdrawn with whoever waits for it, and `Waiting.kept` still has its outcome.

        Raises:
            StoreClosedError: the store is closed or was inherited by a fork.
        """
        self._guard()
        loop = asyncio.get_running_loop()
        if self._deadlines is None or self._deadlines.loop is not loop:
            self._deadlines = Deadlines(loop, patience_s=self.busy_timeout_s, reason=self._busy)
        waiting = Waiting(function, owner_id, job, loop, self._translate)
        self._put(waiting)
        self._deadlines.watch(waiting)
        return waiting

    def _is_awaited(self) -> bool:
        """Tell whether anybody still waits for the outcome of a job; from any thread."""
        return self._deadlines is not None and self._deadlines.has_open()

    async def read(self, hot: Hot, **values: Any) -> list[Row]:
        """Run one reading statement and return its rows; it sees one committed state.

        Raises:
            StoreError: whatever the database says.
            StoreClosedError: the store is closed or was inherited by a fork.
        """
        return await self.read_as(_as_they_are, hot, **values)

    @abstractmethod
    async def read_as(
        self, make: Callable[[list[Row]], ResultT], hot: Hot, **values: Any
    ) -> ResultT:
        """Run one reading statement and return what *make* makes of its rows.

        *make* has to be pure: it may run in the thread that reads, where the rows still lie in that
        core's cache. For a thousand messages this is a fifth of the time.

        Raises:
            StoreError: whatever the database says.
            StoreClosedError: the store is closed or was inherited by a fork.
            ConvostoreError: whatever *make* says.
        """

    async def read_through(self, begin: Callable[[], Reading[ResultT]]) -> ResultT:
        """Run the reading statements that a generator asks for, and return what it returns.

        On a file that is one trip to the thread that reads, however many statements there are. It
        has to be pure, as in `read_as`: it may be begun anew. Each statement sees one committed
        state, not all of them the same.

        Raises:
            StoreError: whatever the database says.
            StoreClosedError: the store is closed or was inherited by a fork.
            ConvostoreError: whatever the generator says.
        """
        going = begin()
        try:
            hot, values = next(going)
            while True:
                hot, values = going.send(await self.read(hot, **values))
        except StopIteration as end:
            made: ResultT = end.value
            return made

    @abstractmethod
    async def scrub(self, *, patience_s: float | None = None) -> ScrubReport:
        """Get what was removed out of the engine's files, where that is owed.

        Others wait meanwhile: on SQLite who writes, on a server everybody, table by table.

        Args:
            patience_s: how long to wait for others; None is `busy_timeout_s`.

        Raises:
            StoreBusyError: others stood in the way; it is owed as before.
            StoreFullError: no room to write it anew; it is owed as before.
            StoreError: whatever else the database says.
            StoreClosedError: the store is closed or was inherited by a fork.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Finish the queued writes, within `CLOSE_S`, and close every connection. Idempotent.

        A write that is still queued after that is withdrawn by its deadline, or done yet: to its
        caller its outcome is what it would be without the closing.
        """

    @abstractmethod
    def _put(self, waiting: Waiting) -> None:
        """Queue a job for the writer; its future gets the outcome after the commit."""

    @abstractmethod
    def _translate(self, error: BaseException) -> BaseException:
        """Return the driver's error as one of ours; any other as it is."""

    def _guard(self) -> None:
        if self._closed:
            raise StoreClosedError("the store is closed")
        if self._pid != os.getpid():
            raise StoreClosedError(
                "the store was opened before this process was forked; open it again here"
            )

    def _busy(self) -> StoreError:
        return StoreBusyError(
            f"the store at {self.name} was busy for {self.busy_timeout_s:g} s; nothing was stored",
            hint="another program holds it: try again in a moment",
        )


def _as_they_are(rows: list[Row]) -> list[Row]:
    return rows
