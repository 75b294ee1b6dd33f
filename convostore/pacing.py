"""A turn for replies that are edited in place: the whole text so far, now and then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from convostore import clock
from convostore.events import TextDelta
from convostore.turn import Turn

if TYPE_CHECKING:
    from types import TracebackType

    from convostore.events import Delta
    from convostore.records import Message
    from convostore.turning.opening import Opening
    from convostore.turning.place import Place


class PacedTurn(Turn):
    """One exchange, told at most once in so many seconds; used like any `Turn`.

    Each item is a TextDelta whose text is all of the answer so far. The first comes with the first
    words, the last is the whole answer; of one that broke off, what there is of it, and then the
    error. The answer is read and stored as it comes, however long the caller takes for an item.
    """

    def __init__(self, place: Place, opening: Opening, every_s: float) -> None:
        super().__init__(place, opening)
        self._every_s = every_s
        self._said: list[str] = []
        self._shown = ""
        self._shown_s = -every_s
        self._news = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._failure: Exception | None = None

    async def __anext__(self) -> Delta:
        """Return the answer so far, once there is more of it and its time has come.

        Raises:
            StopAsyncIteration: the last item was the whole reply, and it is stored.
            ProviderError: the far side failed; the reply is stored as `failed`, in `.reply`.
            StoreError: the store failed on the way; what it could keep is kept.
            TurnStateError: the turn was not entered.
            StoreClosedError: the store is closed.
        """
        reading = self._begin_reading()
        while True:
            self._news.clear()
            is_over = reading.done()
            text = self._so_far(is_over)
            wait_s = self._shown_s + self._every_s - clock.monotonic_s()
            if text != self._shown and wait_s <= 0:
                self._shown, self._shown_s = text, clock.monotonic_s()
                return TextDelta(text, self._buffer.seq)
            if text != self._shown:
                await clock.sleep(wait_s)
            elif not is_over:
                await self._news.wait()
            elif self._failure is not None:
                raise self._failure
            else:
                raise StopAsyncIteration

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the reply as `stopped`, if it has not ended; see `Turn`.

        Raises:
            CancelledError: the task was cancelled; the end is written first.
            StoreError: the end could not be written yet; it is tried again while the store is open.
            StoreClosedError: the store is closed.
        """
        try:
            await self._end_reading()
        finally:
            await super().__aexit__(kind, error, trace)

    async def drain(self) -> Message:
        """Read the reply to its end, at once, and return it.

        Raises:
            ProviderError: see `__anext__`.
            StoreError: see `__anext__`.
            TurnStateError: see `__anext__`.
            StoreClosedError: the store is closed.
        """
        await asyncio.wait({self._begin_reading()})
        if self._failure is not None:
            raise self._failure
        return self.reply

    def _begin_reading(self) -> asyncio.Task[None]:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        """Take the answer in as it comes."""
        reply_id = self.reply.id if self._begun else None
        try:
            while True:
                delta = await super().__anext__()
                if self.reply.id != reply_id:  # of another reply than the one that was followed
                    reply_id = self.reply.id
                    self._said.clear()
                if isinstance(delta, TextDelta):
                    self._said.append(delta.text)
                    self._news.set()
        except StopAsyncIteration:
            pass
        except Exception as error:  # noqa: BLE001 - it is raised where the caller reads
            self._failure = error
        finally:
            self._news.set()

    async def _end_reading(self) -> None:
        if self._reading is None or self._reading.done():
            return
        if self._known:
            self._reading.cancel()
        else:
            await self.stop()
        await asyncio.wait({self._reading})

    def _so_far(self, is_over: bool) -> str:
        """Return the text up to now; at the end as it is stored, which may not be what was said."""
        if is_over and self._begun:
            return self.reply.text
        if len(self._said) > 1:
            self._said = ["".join(self._said)]
        return "".join(self._said)


def turn_of(place: Place, opening: Opening, every_s: float | None) -> Turn:
    """Return a turn that tells each delta, or the whole text so far at most once in *every_s*."""
    return Turn(place, opening) if every_s is None else PacedTurn(place, opening, every_s)
