"""Listening to a provider: its next event, within the limits; what goes wrong is its error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore import clock
from convostore.errors import IncompleteReplyError, ProviderError, ProviderTimeoutError
from convostore.events import (
    Finished,
    ReasoningDelta,
    RemoteUpdate,
    TextDelta,
    ToolCallDelta,
    ToolResultDelta,
)
from convostore.providers.faults import FaultsOf, fault, passes
from convostore.turning.heeding import heeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import UnionType

    from convostore.events import Event
    from convostore.providers.provider import ChatRequest, Provider
    from convostore.turning.place import Limits

GRACE_S: Final = 5.0  # for what a provider still does once it is cancelled
_EARLY_S: Final = 0.001  # a timer may ring a little before its time


def start(provider: Provider, request: ChatRequest) -> AsyncIterator[Event]:
    """Ask.

    Raises:
        ProviderError: any kind.
    """
    with FaultsOf(provider.name):
        events = provider.stream(request)
        if not hasattr(events, "__anext__"):
            if asyncio.iscoroutine(events):
                events.close()
            raise TypeError("stream() is no async generator")
        return events


class Listener:
    """Waits for the events of one reply, each within the limits.

    One timer watches the whole reply. An event that comes in time only puts off what the timer
    finds when it rings, so that a delta costs no timer of its own.
    """

    def __init__(self, provider: str, limits: Limits) -> None:
        self._provider = provider
        self._limits = limits
        self._deadline_s = clock.monotonic_s() + limits.total_timeout_s
        self._due_s = 0.0  # when the event that is waited for has to be there
        self._task: asyncio.Task[Any] | None = None  # who waits
        self._late = False
        self._timer: asyncio.TimerHandle | None = None
        self._cancels = 0  # of ours, which are taken back
        self._in_grace = self._given_up = False

    async def next(self, events: AsyncIterator[Event], task: asyncio.Task[Any] | None) -> Event:
        """Wait for the next event, in *task*, the running one.

        Raises:
            ProviderError: any kind; also where the provider raised something else.
            CancelledError: the task was cancelled, whatever the provider made of it.
        """
        now_s = clock.monotonic_s()
        if now_s >= self._deadline_s:
            raise too_late(self._provider, self._limits, whole=True)
        self._due_s = min(now_s + self._limits.idle_timeout_s, self._deadline_s)
        self._task, self._late = task, False
        cancels = cancels_of(task)
        if self._timer is None:
            self._ring()
        try:
            try:
                event = await heeded(anext(events), self._is_given_up)
            finally:
                self._unhand()
            if cancels_of(task) > cancels:  # the provider has caught that, and goes on
                raise asyncio.CancelledError
            return sound(event)
        except ProviderError:
            if cancels_of(task) > cancels:
                raise asyncio.CancelledError from None
            raise
        except StopAsyncIteration:
            raise broke_off(self._provider) from None
        except BaseException as raised:
            ours = (
                self._late and cancels_of(task) == cancels
            )  # the timer has cancelled, and nobody else
            if passes(raised) and not (ours and isinstance(raised, asyncio.CancelledError)):
                raise
            if not self._late:
                raise fault(self._provider, raised) from raised
            whole = self._due_s == self._deadline_s
            raise too_late(self._provider, self._limits, whole=whole) from None

    def close(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        """Wind the timer up to when the event is due; where it is overdue, cut the wait short."""
        self._timer = None
        if self._task is None:
            return  # nobody waits now: the next who does winds it up
        left_s = self._due_s - clock.monotonic_s()
        if left_s > _EARLY_S:
            self._timer = asyncio.get_running_loop().call_later(left_s, self._ring)
        else:
            self._late = True
            self._cut_short()

    def _cut_short(self) -> None:
        """Cancel who waits; a provider that catches that is left after a moment."""
        if self._task is not None:
            self._give_grace()
            self._cancels += 1
            self._task.cancel()

    def _give_grace(self) -> None:
        self.close()
        self._in_grace = True
        self._timer = asyncio.get_running_loop().call_later(GRACE_S, self._give_up)

    def _give_up(self) -> None:
        self._given_up = True
        self._cut_short()

    def _is_given_up(self) -> bool:
        """Tell whether a provider has had its time; it goes on though it was cancelled."""
        if not self._in_grace:  # somebody else has cancelled
            self._give_grace()
        return self._given_up

    def _unhand(self) -> None:
        """Let go of the task that waited, and take back what cut its wait short."""
        if self._in_grace:
            self.close()
            self._timer, self._in_grace, self._given_up = None, False, False
        while self._cancels and self._task is not None:
            self._task.uncancel()
            self._cancels -= 1
        self._task = None


def cancels_of(task: asyncio.Task[Any] | None) -> int:
    """Return how often *task* was cancelled; a caller may have gone on after some of it."""
    return 0 if task is None else task.cancelling()


def sound(event: Event) -> Event:
    """Return *event* if it is one, with values of the kinds that can be stored.

    Raises:
        TypeError: it is none, or a delta's value is no text; a tool's may be left out (None).
        msgspec.ValidationError: a value of another event is of another kind.
    """
    if isinstance(event, TextDelta):
        _refuse_others(event.text, str)
    elif isinstance(event, ReasoningDelta):
        _refuse_others(event.reasoning, str)
    elif isinstance(event, ToolCallDelta):
        for value in (event.id, event.name, event.args):
            _refuse_others(value, str | None)
    elif isinstance(event, ToolResultDelta):
        for value in (event.id, event.name, event.content):
            _refuse_others(value, str | None)
    elif isinstance(event, RemoteUpdate | Finished):
        return msgspec.convert(msgspec.to_builtins(event), type(event))
    else:
        raise TypeError(f"{type(event).__name__} is no event")
    return event


def _refuse_others(value: object, kind: type | UnionType) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} stands where text belongs")


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
        hint="the question and what arrived are kept; "
        f"ask again, or raise {name} (CONVOSTORE_{name.upper()})",
    )
