"""The part of a turn whose question was asked before: it yields a reply that somebody else makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostore.turning.afterwards import close, error_of
from convostore.turning.journaling import Journaling
from convostore.turning.listening import Listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from convostore.events import Delta, Event
    from convostore.records import Message
    from convostore.turning.begun import BegunTurn
    from convostore.turning.opening import Opening
    from convostore.turning.place import Limits, Place
    from convostore.turning.reply import ReplyBuffer


class Retelling:
    """How a turn begins, and follows the reply of another one; `Turn` is one of these."""

    user: Message
    reply: Message
    limits: Limits
    branched: bool
    replaced: bool
    _place: Place
    _opening: Opening
    _buffer: ReplyBuffer
    _journal: Journaling
    _listener: Listener
    _events: AsyncIterator[Event] | None
    _known: bool

    def _goes_on(self, begun: BegunTurn) -> None:
        """Make the reply from now on, or follow it, as write 1 has found."""
        if self._opening.place is not self._place:  # the room has begun anew since
            self._place = self._opening.place
            self._journal = Journaling(self._place, self._buffer, self._opening.token)
        self.user, self.reply, self.branched = begun.user, begun.reply, begun.branched
        self._known = begun.known is not None
        if begun.known is not None:  # asked before, with the same key: no model call
            self._events = begun.known
            self._place.pulse.remove(self)  # type: ignore[arg-type]  # a Turn, which can be ticked
            return
        self._events = None
        self._journal.begin(self.reply.seq, begun.lease)
        self._listener = Listener(self._opening.provider.name, self.limits)

    async def _known_delta(self) -> Delta | None:
        """Return a delta of a reply that is followed; None where that broke off and is asked anew."""
        try:
            return await anext(self._events)  # type: ignore[arg-type]  # entered, and a followed reply has deltas only
        except StopAsyncIteration:
            if not self._opening.broke_off():
                self._opening.leave()
                if (error := error_of(self._opening.reply)) is not None:
                    raise error from None
                raise
        finally:
            self.reply = self._opening.reply
        await self._ask_again()
        return None

    async def _ask_again(self) -> None:
        """Begin anew: the one who made the reply has died, or failed."""
        await close(self._events)
        self.replaced = bool(self.reply.parts)
        self._place.pulse.add(self)  # type: ignore[arg-type]  # a Turn, which can be ticked
        try:
            self._goes_on(await self._opening.begin(self._place))
        except BaseException:
            self._place.pulse.remove(self)  # type: ignore[arg-type]  # a Turn, which can be ticked
            raise
