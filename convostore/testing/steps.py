"""What a script is made of, for the scripted provider and the Playground server alike."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until the test sets *event*."""

    event: asyncio.Event


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait by the clock."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise *error*."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Silence:
    """Say nothing more, for ever; only closing or cancelling ends it."""


@dataclass(frozen=True, slots=True)
class Endless:
    """Say *text* again and again, for ever, letting other tasks run in between."""

    text: str = "more "


class Gate:
    """A place in a script where provider and test meet.

    Attributes:
        reached: set by the provider when its script gets here.
        released: set by the test to let the script go on.
    """

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()

    async def arrive(self) -> None:
        """Wait, as the test, until the provider stands at the gate."""
        await self.reached.wait()

    def open(self) -> None:
        """Let the provider go on; it also goes on if it has not come here yet."""
        self.released.set()
