"""Listening to a provider: its next event, within the limits; what goes wrong is its error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from convostore import clock
from convostore.errors import IncompleteReplyError, ProviderError, ProviderTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from convostore.events import Event
    from convostore.place import Limits
    from convostore.providers.provider import ChatRequest, Provider


def start(provider: Provider, request: ChatRequest) -> AsyncIterator[Event]:
    """Ask.

    Raises:
        ProviderError: any kind.
    """
    try:
        return provider.stream(request)
    except ProviderError:
        raise
    except Exception as raised:
        raise fault(provider.name, raised) from raised


async def next_event(
    events: AsyncIterator[Event], provider: str, limits: Limits, deadline_s: float
) -> Event:
    """Wait for the next event.

    Args:
        events: of the model call.
        provider: who is asked, by name.
        limits: how long one silence may last.
        deadline_s: when the whole reply has to be there, by the monotonic clock.

    Raises:
        ProviderError: any kind; also where the provider raised something else.
        CancelledError: the task was cancelled, whatever the provider made of it.
    """
    left_s = deadline_s - clock.monotonic_s()
    if left_s <= 0:
        raise too_late(provider, limits, whole=True)
    limit = clock.timeout(min(limits.idle_timeout_s, left_s))
    try:
        async with limit:
            return await anext(events)
    except ProviderError:
        if _is_cancelled():
            raise asyncio.CancelledError from None
        raise
    except StopAsyncIteration:
        raise broke_off(provider) from None
    except asyncio.CancelledError as raised:
        if _is_cancelled():
            raise
        raise fault(provider, raised) from raised
    except Exception as raised:
        if not limit.expired():
            raise fault(provider, raised) from raised
        raise too_late(provider, limits, whole=limits.idle_timeout_s > left_s) from None


def _is_cancelled() -> bool:
    """Tell whether somebody has cancelled the running task, `Turn.stop` or another."""
    me = asyncio.current_task()
    return me is not None and me.cancelling() > 0


def broke_off(provider: str) -> IncompleteReplyError:
    """Return the error for a stream that ended without its end mark."""
    return IncompleteReplyError(
        "the answer broke off before its end",
        provider=provider,
        hint="what arrived is kept; ask again to have another",
    )


def too_late(provider: str, limits: Limits, *, whole: bool) -> ProviderTimeoutError:
    """Return the error for a limit that passed: of the whole answer, or of one silence."""
    seconds = limits.total_timeout_s if whole else limits.idle_timeout_s
    what = "the answer took longer than" if whole else "nothing came for"
    name = "total_timeout_s" if whole else "idle_timeout_s"
    return ProviderTimeoutError(
        f"{what} {seconds:g} s",
        provider=provider,
        hint=f"what arrived is kept; ask again, or raise {name}",
    )


def fault(provider: str, raised: BaseException) -> ProviderError:
    """Return the error for an exception that a provider should not have let out."""
    return ProviderError(
        f"the provider {provider} failed: {type(raised).__name__}: {raised}",
        provider=provider,
        hint="this is a fault in the provider; what arrived is kept",
    )
