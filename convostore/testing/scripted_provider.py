"""A provider that plays what the test wrote, and keeps what it was asked."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from convostore import clock
from convostore.errors import ProviderError
from convostore.events import Event, Finished, TextDelta
from convostore.providers.provider import ModelInfo
from convostore.testing.steps import Endless, Fail, Gate, Pause, Silence, Wait

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from convostore.providers.provider import ChatRequest
    from convostore.records import RemoteThread


Step: TypeAlias = str | Event | Gate | Wait | Pause | Fail | Silence | Endless


@dataclass(slots=True)
class ScriptedCall:
    """One call of `ScriptedProvider.stream`.

    Attributes:
        request: what was asked.
        running: False once the iterator has ended, failed or been closed.
        closed: True when the caller left the iterator before its script was over.
    """

    request: ChatRequest
    running: bool = True
    closed: bool = False


@dataclass(slots=True)
class ScriptedProvider:
    """Play one script per call, in the order they were given.

    .. code-block:: python

        provider = ScriptedProvider()
        provider.answer("Hello")  # the first call
        provider.script("Hel", provider.gate("half"), "lo", Finished())  # the second
        provider.script("Hel", Fail(ProviderConnectError("gone", provider="scripted")))

    A step is an event, a string (a TextDelta), or one of Gate, Wait, Pause, Fail, Silence,
    Endless. A script without Finished ends as a stream that broke off.

    Attributes:
        name: the provider's name.
        otherwise: the script of every call that has none of its own; None makes such a call
            raise AssertionError.
        refusal: what `check` raises, until it is set to None again.
        recovery: what `recover` returns or raises.
        offered: what `models` lists.
        takes_tools: whether its requests carry tool calls and results (`TakesTools`).
        calls: the calls of `stream`, in order.
        recovered: what `recover` was asked, in order.
        is_closed: True after `aclose`.
    """

    name: str = "scripted"
    otherwise: tuple[Step, ...] | None = None
    refusal: ProviderError | None = None
    recovery: Finished | ProviderError | None = None
    offered: list[ModelInfo] = field(default_factory=lambda: [ModelInfo(id="scripted-1")])
    takes_tools: bool = False
    calls: list[ScriptedCall] = field(default_factory=list)
    recovered: list[RemoteThread] = field(default_factory=list)
    is_closed: bool = False
    _scripts: deque[tuple[Step, ...]] = field(default_factory=deque)
    _gates: dict[str, Gate] = field(default_factory=dict)

    @property
    def requests(self) -> list[ChatRequest]:
        """The requests it was sent, in order."""
        return [call.request for call in self.calls]

    def script(self, *steps: Step) -> None:
        """Write the script of the next call that has none yet."""
        self._scripts.append(steps)

    def answer(self, *pieces: str) -> None:
        """Write a script that says *pieces* and finishes."""
        self.script(*pieces, Finished())

    def gate(self, name: str) -> Gate:
        """Return the gate of that name, making it at the first mention."""
        return self._gates.setdefault(name, Gate())

    def check(self, request: ChatRequest) -> None:  # noqa: ARG002 - the protocol's signature
        """Raise `refusal`, if there is one.

        Raises:
            ProviderError: the refusal.
        """
        if self.refusal is not None:
            raise self.refusal

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Play the next script.

        Raises:
            AssertionError: no script is left, and there is none for `otherwise`.
        """
        call = ScriptedCall(request)
        self.calls.append(call)
        try:
            for step in self._next_script():
                async for event in _play(step):
                    yield event
        except (GeneratorExit, asyncio.CancelledError):
            call.closed = True
            raise
        finally:
            call.running = False

    async def recover(
        self,
        remote: RemoteThread,
        anonymous_user_id: str,  # noqa: ARG002 - the protocol's signature
    ) -> Finished | None:
        """Return or raise `recovery`.

        Raises:
            ProviderError: the recovery.
        """
        self.recovered.append(remote)
        if isinstance(self.recovery, ProviderError):
            raise self.recovery
        return self.recovery

    async def models(self) -> list[ModelInfo]:
        """List what is `offered`."""
        return list(self.offered)

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True

    def _next_script(self) -> tuple[Step, ...]:
        if self._scripts:
            return self._scripts.popleft()
        if self.otherwise is None:
            raise AssertionError(f"call {len(self.calls)} of {self.name!r} has no script")
        return self.otherwise


async def _play(step: Step) -> AsyncIterator[Event]:
    match step:
        case str():
            yield TextDelta(step)
        case Gate():
            step.reached.set()
            await step.released.wait()
        case Wait():
            await step.event.wait()
        case Pause():
            await clock.sleep(step.seconds)
        case Fail():
            raise step.error
        case Silence():
            await asyncio.Event().wait()
        case Endless():
            while True:
                yield TextDelta(step.text)
                await asyncio.sleep(0)
        case _:
            yield step
