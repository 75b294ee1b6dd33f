"""The one tick of a process: it flushes all running turns together, and tries again what failed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from convostore import clock
from convostore.errors import (
    ConvostoreError,
    NotFoundError,
    StoreBusyError,
    StoreClosedError,
)
from convostore.storage import leases
from convostore.turning.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from convostore.turning.lines import Ticket

TICK_S: Final = 0.2  # so that a flush begun at a tick is on disk within the promised 250 ms
RETRY_TICKS: Final = 5  # an ending that could not be written is tried again each second
CLOSE_S: Final = 5.0  # how long closing waits for turns to end, and for what was not written yet
STILL_BUSY_S: Final = 0.3  # the same where all that is left has had its time already
LAST_S: Final = 1.0  # and then for its own tasks, which have been cancelled


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

    All turns flush at the same tick, so one commit serves them all. A turn whose event loop was
    closed under it is let go: it can neither flush nor end any more.
    """

    def __init__(self) -> None:
        self._turns: dict[Ticked, asyncio.AbstractEventLoop] = {}
        self._unwritten: dict[str, Callable[[], Awaitable[object]]] = {}
        self._held_up: set[str] = set()  # of these, what waited for others the whole time
        self._retry: asyncio.Task[None] | None = None
        self._writes: set[asyncio.Future[Any]] = set()
        self._late: set[asyncio.Future[Any]] = set()  # of these, what nobody waits for any more
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._rooms = Lines()

    def add(self, turn: Ticked) -> None:
        """Tick *turn* from now on.

        Raises:
            StoreClosedError: the store is closed.
        """
        if self._closed:
            raise StoreClosedError("the store is closed")
        self._turns[turn] = asyncio.get_running_loop()
        self._beat()

    def remove(self, turn: Ticked) -> None:
        """Tick *turn* no more."""
        self._turns.pop(turn, None)

    def write_later(
        self,
        token: str,
        ending: Callable[[], Awaitable[object]],
        *,
        why: ConvostoreError | None = None,
    ) -> None:
        """Try *ending* again and again until it is written: the store was busy or full.

        Args:
            token: the lease's of the reply that it ends, let go once it is written.
            ending: writes it; raises a ConvostoreError while that cannot be done.
            why: it could not be written so far; None is a write whose outcome is not known.
        """
        if self._closed:
            leases.abandon(token)
            return
        self._unwritten[token] = ending
        self._note(token, why)
        self._beat()

    def _note(self, token: str, why: ConvostoreError | None) -> None:
        """Note what keeps an ending from being written; None is nothing any more."""
        if isinstance(why, StoreBusyError):
            self._held_up.add(token)
        else:
            self._held_up.discard(token)

    def see_through(self, write: asyncio.Future[Any]) -> None:
        """Hold the closing up until *write* is done, though nobody may wait for it any more."""
        self._writes.add(write)
        write.add_done_callback(self._seen_through)

    def waits_no_more(self, write: asyncio.Future[Any]) -> None:
        """Note that whoever waited for *write* has gone: it had its time."""
        self._late.add(write)

    def _seen_through(self, write: asyncio.Future[Any]) -> None:
        self._writes.discard(write)
        self._late.discard(write)
        if not write.cancelled():
            write.exception()  # its caller has it, or is gone

    async def aclose(self) -> None:
        """Stop the turns that still run, stop ticking, and try once more what is unwritten.

        It takes `CLOSE_S` at most. What cannot be written by then stays in the journal: the next
        reader in this process sees it as interrupted at once, one elsewhere when the process ends.
        """
        self._closed = True
        try:
            await self._close(clock.monotonic_s() + CLOSE_S)
        finally:
            for token in self._unwritten:
                leases.abandon(token)
            await self._stop_ticking()

    async def _close(self, deadline_s: float) -> None:
        self._let_go_of_the_dead()
        loop = asyncio.get_running_loop()
        await _done({loop.create_task(_ended(turn)) for turn in self._turns}, deadline_s)
        if self._writes <= self._late and self._unwritten.keys() <= self._held_up:
            deadline_s = min(deadline_s, clock.monotonic_s() + STILL_BUSY_S)
        while self._writes and clock.monotonic_s() < deadline_s:
            await _done(self._writes, deadline_s)
        for write in self._late:  # else the writer would wait for it too
            write.cancel()
        await _done([self._retried()], deadline_s)  # a try that was on its way
        await _done([self._retried()], deadline_s)

    async def _stop_ticking(self) -> None:
        loop = asyncio.get_running_loop()
        tasks = {one for one in (self._task, self._retry) if one and one.get_loop() is loop}
        for task in tasks:
            task.cancel()
        await _done(tasks, clock.monotonic_s() + LAST_S)

    def line_up(self, owner_id: str, conversation_id: str) -> Ticket:
        """Stand in line for the one running turn of a conversation, first come, first served."""
        return self._rooms.take((owner_id, conversation_id))

    def _beat(self) -> None:
        task = self._task
        if task is None or task.done() or task.get_loop().is_closed():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        ticks = 0
        while self._turns or self._unwritten:
            await clock.sleep(TICK_S)
            self._let_go_of_the_dead()
            for turn in tuple(self._turns):
                turn.tick()
            ticks += 1
            if ticks % RETRY_TICKS == 0:
                self._retried()

    def _let_go_of_the_dead(self) -> None:
        for turn, loop in tuple(self._turns.items()):
            if loop.is_closed():
                self.remove(turn)
        self._writes = {one for one in self._writes if not one.get_loop().is_closed()}

    def _retried(self) -> asyncio.Task[None]:
        """Try what is unwritten, beside the ticks, which a store that hangs must not hold up."""
        retry = self._retry
        if retry is None or retry.done() or retry.get_loop().is_closed():
            retry = asyncio.get_running_loop().create_task(self._write_unwritten())
            self._retry = retry
        return retry

    async def _write_unwritten(self) -> None:
        endings = dict(self._unwritten)
        outcomes = await asyncio.gather(
            *(ending() for ending in endings.values()), return_exceptions=True
        )
        for token, outcome in zip(endings, outcomes, strict=True):
            if not isinstance(outcome, BaseException) or isinstance(outcome, NotFoundError):
                leases.let_go(token)
            elif isinstance(outcome, ConvostoreError):
                self._note(token, outcome)
                continue
            else:
                leases.abandon(token)
            self._note(token, None)
            self._unwritten.pop(token, None)


async def _ended(turn: Ticked) -> None:
    """Stop a turn; what stands in the way of its end is raised where its caller sees it."""
    with suppress(Exception):
        await turn.stop()


async def _done(tasks: Iterable[asyncio.Future[Any]], deadline_s: float) -> None:
    """Wait for *tasks* until *deadline_s*; those that take longer go on by themselves.

    A caller that is cancelled is cancelled at once, and they too go on.
    """
    if tasks := set(tasks):
        await asyncio.wait(tasks, timeout=max(0.0, deadline_s - clock.monotonic_s()))
