"""Where a room goes on by now: its key may have gone to another conversation since it was looked for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from convostore.errors import ConversationNotFoundError
from convostore.storage import lookup
from convostore.turning.lines import in_turn, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.turning.lines import Ticket
    from convostore.turning.place import Place


async def lined_up(place: Place, *, follows: bool) -> tuple[Place, Ticket | None]:
    """Take the last place in a room's line; return where the room is, and that place.

    It is had before anything is waited for. Conversations without a key have no line.

    Args:
        place: where the caller stands.
        follows: goes on wherever the room does; else here, come what may.

    Raises:
        StoreError: the store cannot be read.
    """
    if place.record.key is None and place.room is None:
        return place, None
    ticket = place.pulse.line_up(place.owner_id, place.record.id)
    try:
        here = await whereabouts(place) if follows else place
    except BaseException:
        ticket.leave()
        raise
    if here is not place:
        ticket.leave()
        ticket = here.pulse.line_up(here.owner_id, here.record.id)
    return here, ticket


@asynccontextmanager
async def in_room(
    place: Place, wait_s: float | None, *, follows: bool
) -> AsyncGenerator[tuple[Place, float]]:
    """Be the only one of this process who writes in a room; give where it is, and the deadline.

    Arguments as in `lined_up`.

    Raises:
        ConversationBusyError: its turn had not come by then.
        StoreError: the store cannot be read.
    """
    deadline_s = until(place, wait_s)
    here, ticket = await lined_up(place, follows=follows)
    try:
        if ticket is not None:
            await in_turn(ticket, deadline_s)
        yield here, deadline_s
    finally:
        if ticket is not None:
            ticket.leave()


async def whereabouts(place: Place) -> Place:
    """Return where the room of a key goes on: here, or in the conversation that has its key by now.

    That is another one where somebody has begun the room anew, or deleted it and another was made.
    A conversation that is called otherwise by now is still the same room.

    Raises:
        StoreError: the store cannot be read.
    """
    while place.successor is not None:
        place = place.successor
    key = place.record.key or place.room
    at = (place.database, place.owner_id)
    found = None if key is None else await lookup.standing_of_key(*at, key)
    if found is None or found[0].id == place.record.id or not await _is_over(place):
        return place
    return place.goes_on(*found)


async def _is_over(place: Place) -> bool:
    """Tell whether a conversation that had a key was set aside, or is not there any more."""
    at = (place.database, place.owner_id, place.record.id)
    try:
        return (await lookup.conversation_by_id(*at)).key is None
    except ConversationNotFoundError:
        return True
