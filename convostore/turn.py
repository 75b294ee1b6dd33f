"""The main path: question -> disk -> provider -> deltas -> journal -> record -> caller.

.. code-block:: text

    __aenter__   write 1: user message, empty reply with a lease, head     (then the request leaves)
    __anext__    provider event -> caller, and into the buffer -> journal, 250 ms or 4 KiB behind
    the end      write 2: text, parts, status, usage, remote thread; the journal is cleared
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from convostore import clock
from convostore.errors import (
    ConvostoreError,
    ProviderError,
    RemoteThreadGoneError,
    StoreBusyError,
    TurnStateError,
)
from convostore.events import Finished, RemoteUpdate
from convostore.ids import new_id
from convostore.storage import leases
from convostore.storage.exchanges import FinishTurn
from convostore.turning.afterwards import (
    LAST_WRITE_S,
    as_stored,
    close,
    columns_of,
    ended_reply,
    error_record,
    in_spite_of_cancel,
    kept_of,
    may_be_whole,
    rest_of,
    write_end,
)
from convostore.turning.journaling import Journaling
from convostore.turning.listening import cancels_of, start
from convostore.turning.reply import ReplyBuffer, storable, with_final_text
from convostore.turning.retelling import Retelling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType
    from typing import Self

    from convostore.events import Delta, Event
    from convostore.records import ErrorRecord, Message, RemoteThread, Status, Usage
    from convostore.turning.opening import Opening
    from convostore.turning.place import Place
    from convostore.views.viewing import View


class Turn(Retelling):
    """One exchange: a question, one model call, its reply. Use it with `async with`.

    Entering stores the question and asks; iterating yields the deltas; leaving ends the reply,
    whatever way it is left. The question is on disk before the request leaves, and what is on
    disk of the answer is at most 250 ms or 4 KiB behind what was yielded.

    Attributes:
        user: the question, as stored.
        reply: the reply: running, then final as stored.
        usage: as the provider reported it, after the end.
        branched: the conversation had moved on elsewhere, and this turn made a sibling branch.
        rehydrated: the far side was told the earlier messages as text, in a new remote thread.
        dropped_turns: how many of the oldest turns did not fit into that.
        replaced: the far side's final text is not what was yielded, and is what is stored.
        limits: how long it waits for the provider.
    """

    def __init__(self, place: Place, opening: Opening) -> None:
        self._place = place
        self._opening = opening
        self.limits = place.opened.patience.limits_of(opening.provider)
        self._buffer = ReplyBuffer()
        self._journal = Journaling(place, self._buffer, opening.token)
        self._events: AsyncIterator[Event] | None = None
        self._remote: RemoteThread | None = None
        self._puller: asyncio.Task[Any] | None = None
        self._reader: asyncio.Task[Any] | None = None
        self._cancels = 0  # of the one who reads, from before: it has gone on
        self._entered = self._begun = self._known = self._stopping = self._ended = False
        self._done = asyncio.Event()
        self._unwritten: ConvostoreError | None = None
        self.usage: Usage | None = None
        self.branched = self.rehydrated = self.replaced = False
        self.dropped_turns = 0

    @property
    def view(self) -> View | None:
        """What the model was sent, and how that differs from the record; None if it was not asked."""
        return self._opening.seen()

    @property
    def finish_reason(self) -> str | None:
        """Why the model ended, as the provider reported it; often None."""
        return self.reply.finish_reason

    # -- the path ------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Store the question and an empty reply, then ask.

        Raises:
            ProviderError: the provider refused the request; nothing is stored.
            InvalidTextError, AttachmentError: what was given cannot be stored.
            ConversationBusyError: another reply runs, and still did after `wait_s`.
            HeadMovedError: the head moved, and `on_moved` is "error".
            DuplicateKeyError: the idempotency key belongs to another text.
            NotFoundError: the conversation, or the message to answer, is gone.
            StoreError: the store cannot be read or written.
            TurnStateError: entered twice, or stopped before it began.
            StoreClosedError: the store is closed.
        """
        if self._entered:
            raise TurnStateError("a turn is entered once; call stream() again for another")
        self._entered = True
        self._place.pulse.add(self)
        self._pulls(asyncio.current_task())
        try:
            begun = await self._opening.begin(self._place)  # write 1
        except BaseException as error:
            self._puller = None
            self._place.pulse.remove(self)
            self._done.set()
            if isinstance(error, asyncio.CancelledError) and self._was_stopped():
                raise TurnStateError("the turn was stopped before it began") from None
            raise
        self._puller, self._begun = None, True
        self._goes_on(begun)
        return self

    def __aiter__(self) -> Self:
        """Iterate over the reply's deltas."""
        return self

    async def __anext__(self) -> Delta:
        """Return the next delta, once what was shown before it is nearly on disk.

        Raises:
            StopAsyncIteration: the reply has ended, and is stored.
            ProviderError: the far side failed; the reply is stored as `failed`, in `.reply`.
            StoreError: the store failed on the way; what it could keep is kept.
            TurnStateError: the turn was not entered, or is being read by two at once.
            StoreClosedError: the store is closed.
        """
        if not self._begun:
            raise TurnStateError("enter the turn first: async with chat.stream(...) as turn")
        while self._known:
            if (delta := await self._known_delta()) is not None:
                return delta
        while not self._ended:
            event = await self._next_event()
            if event is None:
                break
            if isinstance(event, Finished):
                await self._end("completed", finished=event)
            elif isinstance(event, RemoteUpdate):
                await self._keep_remote(event)
            else:
                delta = self._buffer.take(event, clock.monotonic_s())
                if self._journal.is_behind():
                    await self._catch_up()
                return delta
        await self._done.wait()  # where another task ends the reply
        if self._unwritten is not None:
            raise self._unwritten
        raise StopAsyncIteration

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the reply as `stopped`, if it has not ended; a Ctrl-C waits for that, 5 s at most.

        Raises:
            CancelledError: the task was cancelled; the end is written first.
            StoreError: the end could not be written yet; it is tried again while the store is open.
            StoreClosedError: the store is closed.
        """
        if error is None:
            self._reads(asyncio.current_task())
        try:
            if self._known:
                self._opening.leave()
            else:
                await self._end("stopped")
        except (Exception, asyncio.CancelledError):  # else a generator that may wait no more
            await close(self._events)
            raise
        await close(self._events)

    # -- for callers -----------------------------------------------------------------------------

    async def drain(self) -> Message:
        """Read the reply to its end and return it.

        Raises:
            ProviderError: see `__anext__`.
            StoreError: see `__anext__`.
            TurnStateError: see `__anext__`.
            StoreClosedError: the store is closed.
        """
        async for _ in self:
            pass
        return self.reply

    async def stop(self) -> Message:
        """Stop the reply, from this task or another, and return it as stored.

        A reply that is only followed, for its key was known, goes on: whoever asked can stop it.

        Raises:
            StoreError: the end could not be written yet.
            TurnStateError: the turn was not entered, or had not begun.
            StoreClosedError: the store is closed.
        """
        if not self._entered:
            raise TurnStateError("a turn can be stopped once it is entered")
        if self._known:
            return self.reply
        if self._done.is_set() and not self._begun:
            raise TurnStateError("the turn did not begin: there is nothing to stop")
        if not self._ended and not self._stopping:
            self._stopping = True
            if self._puller is None:
                await self._end("stopped")
            else:
                self._puller.cancel()
        await self._done.wait()
        if not self._begun:
            raise TurnStateError("the turn was stopped before it began")
        if self._unwritten is not None:
            raise self._unwritten
        return self.reply

    # -- events ----------------------------------------------------------------------------------

    async def _next_event(self) -> Event | None:
        """Return the next event; None when the turn was stopped meanwhile."""
        if self._puller is not None:
            raise TurnStateError("a turn is read by one task at a time")
        self._pulls(asyncio.current_task())
        try:
            return await self._event()
        except asyncio.CancelledError:
            if not self._was_stopped():
                raise
        finally:
            self._puller = None
        await self._end("stopped")
        return None

    def _pulls(self, task: asyncio.Task[Any] | None) -> None:
        self._puller = task
        self._reads(task)

    def _reads(self, task: asyncio.Task[Any] | None) -> None:
        self._reader, self._cancels = task, cancels_of(task)

    def _was_stopped(self) -> bool:
        """Tell whether `stop` alone has cancelled the task that reads; then it is not cancelled."""
        me = asyncio.current_task()
        return self._stopping and me is not None and me.uncancel() == self._cancels

    async def _event(self) -> Event:
        """Return the next event, asking once more where the far side forgot the remote thread."""
        try:
            return await self._pull()
        except RemoteThreadGoneError as gone:
            if self._opening.request.remote is None or self._buffer.seq:
                return await self._mended(gone)
        except ProviderError as error:
            return await self._mended(error)
        await close(self._events)
        self._events = None
        self._opening.request = msgspec.structs.replace(self._opening.request, remote=None)
        return await self._event()  # the request carries the whole history

    async def _pull(self) -> Event:
        provider = self._opening.provider
        if self._events is None:
            self._events = start(provider, self._opening.request)
        return await self._listener.next(self._events, self._puller)

    # -- the journal -----------------------------------------------------------------------------

    def tick(self) -> None:
        """Begin a flush, if one is due (from the pulse)."""
        if self._begun and not self._known and not self._ended:
            self._journal.tick()

    async def _catch_up(self) -> None:
        """Wait until what was shown is on disk."""
        if (error := await self._journal.catch_up()) is not None:
            await self._fail(error)

    async def _keep_remote(self, update: RemoteUpdate) -> None:
        """Put the far side's ids on disk, before any text is shown."""
        self._remote = storable(update.remote)
        self._place.home_url = self._place.home_url or self._remote.server_url
        self.rehydrated = self.rehydrated or update.rehydrated
        self.dropped_turns = max(self.dropped_turns, update.dropped_turns)
        if (error := await self._journal.keep_remote(self._remote)) is not None:
            await self._fail(error)

    # -- the end ---------------------------------------------------------------------------------

    async def _fail(self, error: Exception) -> NoReturn:
        """Store the failure, then raise it."""
        await self._end("failed", error=error)
        if isinstance(error, ProviderError):
            error.reply = self.reply
        raise error

    async def _mended(self, error: ProviderError) -> Event:
        """Go on with what the far side kept of a broken stream; fail if that is nothing."""
        whole = None
        if self._remote is not None and may_be_whole(error, self._remote):
            await close(self._events)
            whole = await kept_of(self._place, self._opening.provider, self._remote)
        if whole is None:
            await self._fail(error)
        self._events = rest_of(whole, self._buffer.text())
        return await anext(self._events)

    async def _end(
        self, status: Status, *, error: Exception | None = None, finished: Finished | None = None
    ) -> None:
        """Write 2, which a cancellation cannot stop; once, whoever ends the reply first."""
        if not self._ended:
            self._ended = True
            try:
                job = self._ending(
                    status, error_record(error, self._remote), storable(finished or Finished())
                )
                write = asyncio.ensure_future(self._write_end(job, error))
                self._place.pulse.see_through(write)
                late = self._place.pulse.waits_no_more
                cancels = self._cancels if asyncio.current_task() is self._reader else 0
                await in_spite_of_cancel(write, LAST_WRITE_S, late=late, cancels=cancels)
            finally:
                self._listener.close()
                self._place.pulse.remove(self)
                self._opening.leave()
                self._done.set()
        await self._done.wait()

    def _ending(self, status: Status, error: ErrorRecord | None, finished: Finished) -> FinishTurn:
        """Return the job of write 2, and show its outcome in `reply`."""
        self.usage = finished.usage
        self._remote = finished.remote or self._remote
        shown = self._buffer.parts()
        parts = with_final_text(shown, finished.text)
        self.replaced = self.replaced or parts != shown
        self.reply = ended_reply(self.reply, parts, status, error, finished)
        return FinishTurn(
            conversation_id=self._place.record.id,
            message_seq=self.reply.seq,
            token=self._opening.token,
            spare_id=new_id(),
            call_id=None if self._events is None else self.reply.id,
            usage=finished.usage,
            remote=self._remote,
            journaled=self._journal.used,
            **columns_of(self.reply),
        )

    async def _write_end(self, job: FinishTurn, error: Exception | None) -> None:
        place, met_busy = self._place, isinstance(error, StoreBusyError)
        try:
            await self._journal.settled()
            ended = await write_end(place, job, met_busy=met_busy)
        except ConvostoreError as why:
            self._unwritten = why
            place.pulse.write_later(job.token, lambda: write_end(place, job), why=why)
            raise
        except BaseException:  # the store is closed, or the event loop ends
            self._journal.abandon()
            raise
        leases.let_go(job.token)
        self.reply = as_stored(self.reply, job, ended)
        place.ended(job.message_seq, self.reply, self._remote)
        if self._opening.past is not None and not ended.sibling:
            place.went_on(self._opening.past, self.user, self.reply, self.usage)
        self._opening.ended(place, self.reply)
