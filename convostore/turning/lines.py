"""Lines of waiting: whoever comes first is served first, also where all come at once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from convostore import clock
from convostore.errors import ConversationBusyError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable

    from convostore.turning.place import Place

T = TypeVar("T")

KEYED_WAIT_S: Final = 60.0  # a room's people expect to be answered in turn
FIRST_PAUSE_S: Final = 0.02
LONGEST_PAUSE_S: Final = 0.2


class Ticket:
    """A place in a line, which is had at once; its turn comes once those before it have left."""

    def __init__(self, lines: Lines, name: Hashable) -> None:
        self._lines, self._name = lines, name
        self._called = asyncio.get_running_loop().create_future()

    @property
    def is_void(self) -> bool:
        """Tell whether the event loop in which somebody waited is closed: nobody will leave."""
        return self._called.get_loop().is_closed()

    async def first(self) -> None:
        """Wait until nobody is before it."""
        if not self._called.done():
            await asyncio.shield(self._called)

    def call(self) -> None:
        """Let it be the first of its line."""
        if not self._called.done():
            self._called.set_result(None)

    def leave(self) -> None:
        """Let the next one come; also of one whose turn has not come."""
        self._lines.without(self, self._name)


class Lines:
    """Lines by their names; there is one as long as anybody stands in it."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, list[Ticket]] = {}

    def take(self, name: Hashable) -> Ticket:
        """Return the last place of a line, without waiting for anything."""
        line = [one for one in self._lines.get(name, ()) if not one.is_void]
        ticket = Ticket(self, name)
        self._lines[name] = [*line, ticket]
        self._lines[name][0].call()
        return ticket

    def without(self, ticket: Ticket, name: Hashable) -> None:
        """Take a place out of its line, and call whoever is the first then."""
        line = [one for one in self._lines.get(name, ()) if one is not ticket and not one.is_void]
        if line:
            self._lines[name] = line
            line[0].call()
        else:
            self._lines.pop(name, None)


async def in_turn(ticket: Ticket, deadline_s: float) -> None:
    """Wait until the turn of a place in a conversation's line has come.

    Raises:
        ConversationBusyError: it had not by *deadline_s*.
    """
    try:
        async with clock.timeout(max(0.0, deadline_s - clock.monotonic_s())):
            await ticket.first()
    except TimeoutError:
        raise ConversationBusyError(
            "another reply of this conversation is still running",
            hint="wait until it has ended, or stop it",
        ) from None


def until(place: Place, wait_s: float | None) -> float:
    """Return until when somebody waits for a conversation, by the monotonic clock."""
    if wait_s is None:
        wait_s = KEYED_WAIT_S if place.record.key is not None else 0.0
    return clock.monotonic_s() + wait_s


@asynccontextmanager
async def in_line(place: Place, wait_s: float | None) -> AsyncGenerator[float]:
    """Be the only one of this process who writes in a conversation with a key; give the deadline.

    The place in line is had before anything is waited for.

    Raises:
        ConversationBusyError: its turn had not come by then.
    """
    deadline_s, ticket = until(place, wait_s), None
    if place.record.key is not None:
        ticket = place.pulse.line_up(place.owner_id, place.record.id)
    try:
        if ticket is not None:
            await in_turn(ticket, deadline_s)
        yield deadline_s
    finally:
        if ticket is not None:
            ticket.leave()


async def when_free(write: Callable[[], Awaitable[T]], deadline_s: float) -> T:
    """Write once no reply runs any more that other processes make.

    Raises:
        ConversationBusyError: one still did at *deadline_s*.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await write()
        except ConversationBusyError:
            if clock.monotonic_s() + pause_s > deadline_s:
                raise
        await clock.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
