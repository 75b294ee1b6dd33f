"""What ends a reply: what of a recovered one is left to show, errors for the record, last writes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from convostore import clock
from convostore.errors import ConvostoreError, ProviderError
from convostore.events import Finished, ReasoningDelta, TextDelta
from convostore.records import ErrorRecord

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

    from convostore.events import Event

LAST_WRITE_S: Final = 5.0  # how long the end of a turn holds up a Ctrl-C


def error_record(error: ConvostoreError | None) -> ErrorRecord | None:
    """Return an error as it is kept in the record."""
    if error is None:
        return None
    return ErrorRecord(
        code=error.code, message=error.message, hint=error.hint, retryable=error.retryable
    )


def fault(provider: str, raised: Exception) -> ProviderError:
    """Return the error for an exception that a provider should not have let out."""
    error = ProviderError(
        f"the provider {provider} failed: {type(raised).__name__}: {raised}",
        provider=provider,
        hint="this is a fault in the provider; what arrived is kept",
    )
    error.__cause__ = raised
    return error


async def rest_of(whole: Finished, shown: str) -> AsyncGenerator[Event]:
    """Yield what of a recovered reply was not shown yet, then its end."""
    if not shown and whole.reasoning:
        yield ReasoningDelta(whole.reasoning)
    text = whole.text or ""
    if text.startswith(shown) and text != shown:
        yield TextDelta(text[len(shown) :])
    yield whole


async def close(events: object) -> None:
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
