"""The main path: question -> disk -> provider -> deltas -> journal -> record -> caller.

.. code-block:: text

    __aenter__   write 1: user message, empty reply with a lease, head     (then the request leaves)
    __anext__    provider event -> caller, and into the buffer -> journal, 250 ms or 4 KiB behind
    the end      write 2: text, parts, status, usage, remote thread; the journal is cleared
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from convostore import clock
from convostore.errors import (
    ConvostoreError,
    IncompleteReplyError,
    ProviderError,
    ProviderTimeoutError,
    RemoteThreadGoneError,
    TurnStateError,
)
from convostore.events import Finished, ReasoningDelta, RemoteUpdate, TextDelta
from convostore.ids import new_id
from convostore.reply import ReplyBuffer, with_final_text
from convostore.storage.endings import Ended, FinishTurn, finish_turns
from convostore.storage.journal import Flush, flush_journals
from convostore.storage.leases import RENEW_AFTER_MS, new_lease
from convostore.storage.rows import encode_parts, to_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
    from types import TracebackType
    from typing import Self

    from convostore.events import Delta, Event
    from convostore.opening import Opening
    from convostore.place import Place
    from convostore.records import ErrorRecord, Message, RemoteThread, Status, Usage

FLUSH_BYTES: Final = 4096  # most of what was shown may be this far ahead of the disk
FLUSH_AGE_S: Final = 0.25  # and no longer than this
LAST_WRITE_S: Final = 5.0  # how long the end of a turn holds up a Ctrl-C


class Turn:
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
    """

    user: Message
    reply: Message

    def __init__(self, place: Place, opening: Opening) -> None:
        self._place = place
        self._opening = opening
        self._buffer = ReplyBuffer()
        self._token = opening.token
        self._lease = ""
        self._lease_ms = 0
        self._flush: asyncio.Task[None] | None = None
        self._flush_error: ConvostoreError | None = None
        self._events: AsyncIterator[Event] | None = None
        self._remote: RemoteThread | None = None
        self._puller: asyncio.Task[Any] | None = None
        self._deadline_s = 0.0
        self._stopping = self._ended = self._entered = self._known = False
        self._done = asyncio.Event()
        self.usage: Usage | None = None
        self.branched = self.rehydrated = False
        self.dropped_turns = 0

    @property
    def finish_reason(self) -> str | None:
        """Why the model ended, as the provider reported it; often None."""
        return self.reply.finish_reason

    # -- the path ------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Store the question and an empty reply, then ask.

        Raises:
            ProviderError: the provider refused the request; nothing is stored.
            InvalidTextError: the text cannot be stored.
            ConversationBusyError: another reply runs, and still did after `wait_s`.
            HeadMovedError: the head moved, and `on_moved` is "error".
            DuplicateKeyError: the idempotency key belongs to another text.
            StoreError: the store cannot be read or written.
            TurnStateError: entered twice.
        """
        if self._entered:
            raise TurnStateError("a turn is entered once; call stream() again for another")
        self._entered = True
        begun = await self._opening.begin(self._place)  # write 1
        self.user, self.reply, self.branched = begun.user, begun.reply, begun.branched
        if begun.known is not None:  # asked before, with the same key: no model call
            self._events, self._ended, self._known = begun.known, True, True
            return self
        self._lease, self._lease_ms = begun.lease, clock.now_ms()
        self._deadline_s = clock.monotonic_s() + self._place.limits.total_timeout_s
        self._events = self._opening.provider.stream(self._opening.request)
        self._place.pulse.add(self)
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
        """
        if self._events is None:
            raise TurnStateError("enter the turn first: async with chat.stream(...) as turn")
        if self._known:
            return await self._known_delta()
        while not self._ended:
            event = await self._pull()
            if event is None:
                break
            if isinstance(event, Finished):
                await self._end("completed", finished=event)
            elif isinstance(event, RemoteUpdate):
                await self._keep_remote(event)
            else:
                delta = self._buffer.take(event, clock.monotonic_s())
                if self._is_behind():
                    await self._catch_up()
                return delta
        raise StopAsyncIteration

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the reply as `stopped`, if it has not ended; a Ctrl-C waits for that, 5 s at most.

        Raises:
            StoreError: the end could not be written yet; it is tried again while the store is open.
        """
        if not self._ended:
            await self._end("stopped")
        await _close(self._events)

    # -- for callers -----------------------------------------------------------------------------

    async def drain(self) -> Message:
        """Read the reply to its end and return it.

        Raises:
            ProviderError: see `__anext__`.
            StoreError: see `__anext__`.
        """
        async for _ in self:
            pass
        return self.reply

    async def stop(self) -> Message:
        """Stop the reply, from this task or another, and return it as stored.

        Raises:
            StoreError: the end could not be written yet.
        """
        if not self._ended:
            self._stopping = True
            if self._puller is None:
                await self._end("stopped")
            else:
                self._puller.cancel()
        await self._done.wait()
        return self.reply

    # -- events ----------------------------------------------------------------------------------

    async def _pull(self) -> Event | None:
        """Return the provider's next event; None when the turn was stopped meanwhile."""
        if self._puller is not None:
            raise TurnStateError("a turn is read by one task at a time")
        self._puller = asyncio.current_task()
        try:
            async with clock.timeout(self._patience_s()):
                return await anext(self._events)  # type: ignore[arg-type]  # entered, so not None
        except asyncio.CancelledError:
            if not self._stopping or self._puller is None or self._puller.uncancel():
                raise
            self._puller = None
            await self._end("stopped")
            return None
        except RemoteThreadGoneError as gone:
            self._puller = None
            return await self._ask_anew(gone)
        except TimeoutError:
            failure: ProviderError = self._too_late()
        except StopAsyncIteration:
            failure = IncompleteReplyError(
                "the answer broke off before its end",
                provider=self._opening.provider.name,
                hint="what arrived is kept; ask again to have another",
            )
        except ProviderError as raised:
            failure = raised
        except Exception as raised:  # noqa: BLE001 - a fault in a provider must not lose the reply
            failure = _fault(self._opening.provider.name, raised)
        finally:
            self._puller = None
        return await self._mended(failure)

    async def _ask_anew(self, gone: RemoteThreadGoneError) -> Event | None:
        """Ask once more without the remote thread: the request carries the whole history."""
        request = self._opening.request
        if request.remote is None or self._buffer.seq:
            return await self._mended(gone)
        await _close(self._events)
        self._opening.request = msgspec.structs.replace(request, remote=None)
        self._events = self._opening.provider.stream(self._opening.request)
        return await self._pull()

    def _patience_s(self) -> float:
        left_s = self._deadline_s - clock.monotonic_s()
        return max(0.0, min(self._place.limits.idle_timeout_s, left_s))

    def _too_late(self) -> ProviderTimeoutError:
        limits = self._place.limits
        whole = clock.monotonic_s() >= self._deadline_s
        seconds = limits.total_timeout_s if whole else limits.idle_timeout_s
        what = "the answer took longer than" if whole else "nothing came for"
        name = "total_timeout_s" if whole else "idle_timeout_s"
        return ProviderTimeoutError(
            f"{what} {seconds:g} s",
            provider=self._opening.provider.name,
            hint=f"what arrived is kept; ask again, or raise {name}",
        )

    async def _known_delta(self) -> Delta:
        """Return a delta of a reply that is followed, not made."""
        try:
            return await anext(self._events)  # type: ignore[arg-type]  # entered, and a followed reply has deltas only
        except StopAsyncIteration:
            self._done.set()
            raise
        finally:
            self.reply = self._opening.reply

    # -- the journal -----------------------------------------------------------------------------

    def tick(self) -> None:
        """Begin a flush, if there is something to flush or the lease is due (from the pulse)."""
        due = clock.now_ms() - self._lease_ms
        if self._buffer.unsaved_bytes or not 0 <= due < RENEW_AFTER_MS:
            self._flush_soon()

    def _is_behind(self) -> bool:
        if self._flush_error is not None or self._buffer.unsaved_bytes >= FLUSH_BYTES:
            return True
        if self._buffer.unsaved_bytes == 0:
            return False
        return clock.monotonic_s() - self._buffer.unsaved_since_s > FLUSH_AGE_S

    def _flush_soon(self, remote: RemoteThread | None = None) -> asyncio.Task[None]:
        """Begin a flush; at most one is in flight, and another waits behind it."""
        if self._flush is None or self._flush.done() or remote is not None:
            self._flush = asyncio.get_running_loop().create_task(
                self._write_flush(self._flush, remote)
            )
        return self._flush

    async def _write_flush(
        self, before: asyncio.Task[None] | None, remote: RemoteThread | None
    ) -> None:
        if before is not None and not before.done():
            await before
        now_ms = clock.now_ms()
        if not 0 <= now_ms - self._lease_ms < RENEW_AFTER_MS:
            self._lease, self._lease_ms = new_lease(self._token, now_ms), now_ms
        job = Flush(
            conversation_id=self._place.record.id,
            message_seq=self.reply.seq,
            lease=self._lease,
            rows=self._buffer.unsaved(),
            remote=remote,
        )
        try:
            # False: somebody took this writer for dead. Write 2 will settle it.
            await self._place.database.write(flush_journals, self._place.owner_id, job)
        except ConvostoreError as error:
            self._flush_error = error

    async def _catch_up(self) -> None:
        """Wait until what was shown is on disk."""
        while self._buffer.unsaved_bytes or (self._flush and not self._flush.done()):
            await asyncio.shield(self._flush_soon())
        if self._flush_error is not None:
            await self._fail(self._flush_error)

    async def _keep_remote(self, update: RemoteUpdate) -> None:
        """Put the far side's ids on disk, before any text is shown."""
        self._remote = update.remote
        self.rehydrated = self.rehydrated or update.rehydrated
        self.dropped_turns = max(self.dropped_turns, update.dropped_turns)
        await asyncio.shield(self._flush_soon(update.remote))
        if self._flush_error is not None:
            await self._catch_up()

    # -- the end ---------------------------------------------------------------------------------

    async def _fail(self, error: ConvostoreError) -> NoReturn:
        """Store the failure, then raise it."""
        await self._end("failed", error=error)
        if isinstance(error, ProviderError):
            error.reply = self.reply
        raise error

    async def _mended(self, error: ProviderError) -> Event:
        """Go on with what the far side kept of a broken stream; fail if that is nothing.

        This check comes before any repeat: the far side may have finished the reply.
        """
        whole = await self._recovered(error)
        if whole is None:
            await self._fail(error)
        shown = self._buffer.text()
        self._events = _rest_of(whole, shown)
        return await anext(self._events)

    async def _recovered(self, error: ProviderError) -> Finished | None:
        """Ask the far side for the whole of a reply whose stream broke; None if it has none.

        An error with a status is the far side's own word that the reply ended so.
        """
        if error.status is not None or self._remote is None or self._remote.same_text:
            return None
        await _close(self._events)
        try:
            whole = await self._opening.provider.recover(
                self._remote, self._place.record.anonymous_user_id or ""
            )
        except ProviderError:
            return None  # the far side cannot be asked: the first error tells why
        return whole if whole is not None and whole.text else None

    async def _end(
        self,
        status: Status,
        *,
        error: ConvostoreError | None = None,
        finished: Finished | None = None,
    ) -> None:
        """Write 2, which a cancellation cannot stop."""
        self._ended = True
        self._place.pulse.remove(self)
        finished = finished or Finished()
        parts = with_final_text(self._buffer.parts(), finished.text)
        record = error_record(error)
        self.usage = finished.usage
        self._remote = finished.remote or self._remote
        text, shape = encode_parts(parts)
        job = FinishTurn(
            conversation_id=self._place.record.id,
            message_seq=self.reply.seq,
            token=self._token,
            spare_id=new_id(),
            usage_id=new_id(),
            status=status,
            text=text,
            shape=shape,
            now_ms=clock.now_ms(),
            provider=self._opening.provider.name,
            model=finished.model or self._opening.request.model,
            finish_reason=finished.finish_reason,
            error=None if record is None else to_json(record),
            usage=finished.usage,
            remote=self._remote,
        )
        self.reply = msgspec.structs.replace(
            self.reply,
            status=status,
            text=text,
            parts=parts,
            model=job.model,
            finish_reason=job.finish_reason,
            error=record,
            finished_at_ms=job.now_ms,
        )
        try:
            await in_spite_of_cancel(self._write_end(job), LAST_WRITE_S)
        finally:
            self._opening.leave(self._place)
            self._done.set()

    async def _write_end(self, job: FinishTurn) -> None:
        if self._flush is not None and not self._flush.done():
            await self._flush
        place = self._place
        try:
            ended: Ended = await place.database.write(finish_turns, place.owner_id, job)
        except ConvostoreError:
            place.pulse.write_later(lambda: place.database.write(finish_turns, place.owner_id, job))
            raise
        if ended.sibling:
            self.reply = msgspec.structs.replace(self.reply, id=job.spare_id, seq=ended.message_seq)
        self.reply = msgspec.structs.replace(self.reply, content_hash=ended.content_hash)
        place.moved_to(self.reply, self._remote)


def error_record(error: ConvostoreError | None) -> ErrorRecord | None:
    """Return an error as it is kept in the record."""
    from convostore.records import ErrorRecord

    if error is None:
        return None
    return ErrorRecord(
        code=error.code, message=error.message, hint=error.hint, retryable=error.retryable
    )


def _fault(provider: str, raised: Exception) -> ProviderError:
    error = ProviderError(
        f"the provider {provider} failed: {type(raised).__name__}: {raised}",
        provider=provider,
        hint="this is a fault in the provider; what arrived is kept",
    )
    error.__cause__ = raised
    return error


async def _rest_of(whole: Finished, shown: str) -> AsyncGenerator[Event]:
    """Yield what of a recovered reply was not shown yet, then its end."""
    if not shown and whole.reasoning:
        yield ReasoningDelta(whole.reasoning)
    text = whole.text or ""
    if text.startswith(shown) and text != shown:
        yield TextDelta(text[len(shown) :])
    yield whole


async def _close(events: object) -> None:
    """Let a provider's iterator go, with its connection."""
    aclose = getattr(events, "aclose", None)
    if aclose is not None:
        await in_spite_of_cancel(aclose(), LAST_WRITE_S)


async def in_spite_of_cancel(work: Awaitable[None], bound_s: float) -> None:
    """Wait for *work* even while being cancelled, but then for *bound_s* at most.

    Work that takes longer goes on by itself.
    """
    task = asyncio.ensure_future(work)
    me = asyncio.current_task()
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        hurried = cancelled is not None or (me is not None and me.cancelling() > 0)
        try:
            async with clock.timeout(bound_s if hurried else None):
                await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
        except TimeoutError:
            break
    if cancelled is not None:
        raise cancelled
    if task.done():
        task.result()
