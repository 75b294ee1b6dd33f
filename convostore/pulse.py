"""The one tick of a process: it flushes all running turns together, and tries again what failed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from convostore import clock
from convostore.errors import ConvostoreError, NotFoundError, StoreClosedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TICK_S: Final = 0.2  # so that a flush begun at a tick is on disk within the promised 250 ms
RETRY_TICKS: Final = 5  # an ending that could not be written is tried again each second


class Ticked(Protocol):
    """What the pulse drives."""

    def tick(self) -> None:
        """Begin a flush, if there is anything to flush; must not block or raise."""
        ...

    async def stop(self) -> object:
        """End; what has arrived is kept."""
        ...


class Pulse:
    """Ticks every 200 ms while any turn runs, and not at all otherwise.

    All turns flush at the same tick, so one commit serves them all.
    """

    def __init__(self) -> None:
        self._turns: set[Ticked] = set()
        self._unwritten: list[Callable[[], Awaitable[object]]] = []
        self._writes: set[asyncio.Future[Any]] = set()
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._doors: dict[tuple[str, str], tuple[asyncio.Lock, int]] = {}

    def add(self, turn: Ticked) -> None:
        """Tick *turn* from now on.

        Raises:
            StoreClosedError: the store is closed.
        """
        if self._closed:
            raise StoreClosedError("the store is closed")
        self._turns.add(turn)
        self._beat()

    def remove(self, turn: Ticked) -> None:
        """Tick *turn* no more."""
        self._turns.discard(turn)

    def write_later(self, ending: Callable[[], Awaitable[object]]) -> None:
        """Try *ending* again and again until it is written: the store was busy or full."""
        self._unwritten.append(ending)
        self._beat()

    def see_through(self, write: asyncio.Future[Any]) -> None:
        """Hold the closing up until *write* is done, though nobody may wait for it any more."""
        self._writes.add(write)
        write.add_done_callback(self._seen_through)

    def _seen_through(self, write: asyncio.Future[Any]) -> None:
        self._writes.discard(write)
        if not write.cancelled():
            write.exception()  # its caller has it, or is gone

    async def aclose(self) -> None:
        """Stop the turns that still run, stop ticking, and try once more what is unwritten."""
        # What cannot be written stays in the journal: the next reader sees it as interrupted.
        self._closed = True
        await asyncio.gather(*(turn.stop() for turn in self._turns), return_exceptions=True)
        while self._writes:
            await asyncio.wait(self._writes)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._write_unwritten()

    async def enter(self, owner_id: str, conversation_id: str) -> None:
        """Wait in line for the one running turn of a conversation, first come, first served."""
        place = (owner_id, conversation_id)
        door, waiting = self._doors.get(place, (asyncio.Lock(), 0))
        self._doors[place] = (door, waiting + 1)
        try:
            await door.acquire()
        except BaseException:
            self._count_out(place)
            raise

    def leave(self, owner_id: str, conversation_id: str) -> None:
        """Let the next one in."""
        place = (owner_id, conversation_id)
        self._doors[place][0].release()
        self._count_out(place)

    def _count_out(self, place: tuple[str, str]) -> None:
        door, waiting = self._doors[place]
        if waiting == 1:
            del self._doors[place]
        else:
            self._doors[place] = (door, waiting - 1)

    def _beat(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        ticks = 0
        while self._turns or self._unwritten:
            await clock.sleep(TICK_S)
            for turn in tuple(self._turns):
                turn.tick()
            ticks += 1
            if ticks % RETRY_TICKS == 0:
                await self._write_unwritten()

    async def _write_unwritten(self) -> None:
        endings = tuple(self._unwritten)
        outcomes = await asyncio.gather(*(one() for one in endings), return_exceptions=True)
        for ending, outcome in zip(endings, outcomes, strict=True):
            if not isinstance(outcome, ConvostoreError) or isinstance(outcome, NotFoundError):
                self._unwritten.remove(ending)
