"""What ends a reply: what of a recovered one is left to show, errors for the record, last writes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore import clock
from convostore.errors import (
    ConvostoreError,
    IncompleteReplyError,
    ProviderError,
    StoreBusyError,
    StoreError,
)
from convostore.events import Finished, ReasoningDelta, TextDelta
from convostore.parts import TextPart
from convostore.providers.faults import FaultsOf, called, passes
from convostore.records import ErrorRecord
from convostore.storage.canonical import encode_parts, to_json
from convostore.storage.endings import finish_turns
from convostore.turning.heeding import within
from convostore.turning.recovery import SHORT_PATIENCE_S, ask_for_the_whole
from convostore.turning.reply import storable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from convostore.events import Event
    from convostore.parts import Part
    from convostore.providers.provider import Provider
    from convostore.records import Message, RemoteThread, Status
    from convostore.storage.database import Database
    from convostore.storage.exchanges import Ended, FinishTurn
    from convostore.turning.place import Place

AGAIN_S: Final = 0.5  # how long an end is tried where the store was busy all the time before
LAST_WRITE_S: Final = 5.0  # how long the end of a turn holds up a Ctrl-C
_CLASSES: Final[dict[str, type[ProviderError]]] = {
    ProviderError.code: ProviderError,
    **{one.code: one for one in ProviderError.__subclasses__()},
}


def error_record(error: Exception | None, remote: RemoteThread | None) -> ErrorRecord | None:
    """Return an error as it is kept in the record; one that is not ours has no place there."""
    if not isinstance(error, ConvostoreError):
        return None
    return storable(
        ErrorRecord(
            code=str(error.code),
            message=str(error.message),
            hint=str(error.hint),
            retryable=bool(error.retryable),  # whatever a provider has put there
            unsettled=isinstance(error, ProviderError) and may_be_whole(error, remote),
        )
    )


def may_be_whole(error: ProviderError, remote: RemoteThread | None) -> bool:
    """Tell whether the far side may have the whole of a reply that broke off.

    An error with a status is the far side's own word that the reply ended so.
    """
    return error.status is None and remote is not None and not remote.same_text


async def kept_of(place: Place, provider: Provider, remote: RemoteThread) -> Finished | None:
    """Return the whole of a reply that broke off, if the far side has kept it."""
    identity = place.identity_at(remote.server_url)
    with suppress(ProviderError):  # the one that broke the reply tells more
        return await ask_for_the_whole(provider, remote, identity, patience_s=SHORT_PATIENCE_S)
    return None


def error_of(reply: Message) -> ConvostoreError | None:
    """Return the error to raise for a reply that somebody else's turn made; None if it is whole."""
    provider, kept = reply.provider or "", reply.error
    error: ProviderError
    if reply.status == "interrupted":
        error = IncompleteReplyError(
            "the program that wrote this reply died on the way",
            provider=provider,
            hint="what arrived is kept; ask again with the same key",
            retryable=True,
        )
    elif reply.status != "failed" or kept is None:
        return None
    elif kept.code not in _CLASSES:
        return StoreError(kept.message, hint=kept.hint)
    else:
        error = _CLASSES[kept.code](kept.message, provider=provider, hint=kept.hint)
        error.retryable = kept.retryable
    error.reply = reply
    return error


def ended_reply(
    reply: Message,
    parts: tuple[Part, ...],
    status: Status,
    error: ErrorRecord | None,
    finished: Finished,
) -> Message:
    """Return a running reply as it stands once it has ended."""
    return msgspec.structs.replace(
        reply,
        status=status,
        text="".join(part.text for part in parts if isinstance(part, TextPart)),
        parts=parts,
        model=finished.model or reply.model,
        finish_reason=finished.finish_reason,
        error=error,
        finished_at_ms=clock.now_ms(),
    )


def as_stored(reply: Message, job: FinishTurn, ended: Ended) -> Message:
    """Return an ended reply as write 2 has stored it, perhaps as a sibling."""
    if ended.sibling:
        reply = msgspec.structs.replace(reply, id=job.spare_id, seq=ended.message_seq)
    return msgspec.structs.replace(reply, content_hash=ended.content_hash)


def columns_of(reply: Message) -> dict[str, Any]:
    """Return what write 2 puts into the columns of an ended reply."""
    text, shape = encode_parts(reply.parts)
    return {
        "status": reply.status,
        "text": text,
        "shape": shape,
        "now_ms": reply.finished_at_ms,
        "provider": reply.provider,
        "model": reply.model,
        "finish_reason": reply.finish_reason,
        "error": None if reply.error is None else to_json(reply.error),
    }


async def write_end(place: Place, job: FinishTurn, *, met_busy: bool = False) -> Ended:
    """Write 2.

    Args:
        place: the conversation.
        job: how the reply ends.
        met_busy: it ends because it has waited for a busy store as long as it may; now it waits
            for `AGAIN_S` more.

    Raises:
        StoreError: it could not be written, or not be known to be: it may be repeated.
        StoreClosedError: the store is closed.
    """
    ended: Ended
    if not met_busy:
        ended = await place.database.write(finish_turns, place.owner_id, job)
        return ended
    write = place.database.submit(finish_turns, place.owner_id, job)
    try:
        await asyncio.wait({write.future}, timeout=AGAIN_S)
    except asyncio.CancelledError:
        write.let_go()
        raise
    write.withdraw(lambda: _still_busy(place.database))
    if not write.future.done():  # taken, by a server that does not answer
        place.pulse.see_through(write.future)
        place.pulse.waits_no_more(write.future)
        raise _still_busy(place.database)
    ended = write.future.result()
    return ended


def _still_busy(database: Database) -> StoreBusyError:
    return StoreBusyError(
        f"the store at {database.name} was busy for {database.busy_timeout_s:g} s; "
        "the end of the answer is not stored yet",
        hint="what was shown is kept, but for its last moment; close the program that holds the store",
    )


async def rest_of(whole: Finished, shown: str) -> AsyncGenerator[Event]:
    """Yield what of a recovered reply was not shown yet, then its end."""
    if not shown and whole.reasoning:
        yield ReasoningDelta(whole.reasoning)
    text = whole.text or ""
    if text.startswith(shown) and text != shown:
        yield TextDelta(text[len(shown) :])
    yield whole


async def close(events: object) -> None:
    """Let a provider's iterator go, with its connection.

    How the reply ended is decided by now: a fault on this way changes nothing of it.
    """
    aclose = getattr(events, "aclose", None)
    if aclose is not None:
        try:
            await within(LAST_WRITE_S, aclose())
        except BaseException as raised:
            if passes(raised):
                raise


async def close_provider(provider: Provider) -> None:
    """Close a provider, within `LAST_WRITE_S`: one that hangs must not keep its store open.

    Raises:
        ProviderError: whatever the provider raises.
    """
    with FaultsOf(called(provider)), suppress(TimeoutError):
        await within(LAST_WRITE_S, provider.aclose())


async def in_spite_of_cancel(
    work: Awaitable[None],
    bound_s: float,
    *,
    late: Callable[[asyncio.Future[None]], None] | None = None,
    cancels: int = 0,
) -> None:
    """Wait for *work* even while being cancelled, but then for *bound_s* at most.

    Work that takes longer goes on by itself; *late* is told of it. So often as *cancels* says the
    caller was cancelled before, and has gone on: that is no reason to hurry.

    Raises:
        CancelledError: the caller was cancelled, once or more; after the wait.
        Exception: whatever *work* raised, if it has ended and the caller was not cancelled.
    """
    task = asyncio.ensure_future(work)
    me = asyncio.current_task()
    cancelled: asyncio.CancelledError | None = None
    if me is not None and me.cancelling() <= cancels:
        try:
            await asyncio.shield(task)  # as nearly always: nobody cancels
        except asyncio.CancelledError as error:
            cancelled = error
    while not task.done():
        hurried = cancelled is not None or (me is not None and me.cancelling() > cancels)
        try:
            async with clock.timeout(bound_s if hurried else None):
                await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
        except TimeoutError:
            if late is not None:
                late(task)
            break
    if cancelled is not None:
        raise cancelled
    if task.done():
        task.result()
